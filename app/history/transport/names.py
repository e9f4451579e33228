"""Names on NATS for what Faust names: topics, keys, groups.

In: a topic or group of any characters, a key of any bytes. Out: stream names, subjects, durable
names; each can be read back (`key_of`), and no two topics or keys share one. Refuses names that
would be longer than NATS allows.
"""

import base64
import binascii
import re
from typing import Final

from app.history.transport.errors import InvalidNameError

NAME_LENGTH_MAX: Final = 200
"""Of a topic or group once encoded; the server takes 255 for a stream's name."""
KEY_BYTES_MAX: Final = 2048
"""Of a key in a table or compacted topic: it becomes part of a subject (a line of 4,096 bytes)."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]*")
_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_NO_KEY: Final = "_"
_KEY: Final = "k"
_DOTTED_KEY: Final = "d"
_DOTTED: Final = re.compile(rb"[A-Za-z0-9_/-]+(?:\.[A-Za-z0-9_/-]+)+")


def stream_name(topic: str) -> str:
    """Give the stream of a topic."""
    return f"FAUST_{token_of(topic)}"


def subjects_of(topic: str) -> str:
    """Give the pattern of all subjects of a topic."""
    return f"faust.{token_of(topic)}.>"


def plain_subject(topic: str) -> str:
    """Give the subject that messages of an ordinary topic have, whatever their key is.

    A subject for each key would cost the server memory for each key ever seen.
    """
    return f"faust.{token_of(topic)}.{_NO_KEY}"


def keyed_subject(topic: str, key: bytes | None) -> str:
    """Give the subject of a key in a table's changelog: the stream keeps the last message of it.

    A key of several tokens (``acme.orders``) has them in its subject, behind ``d``: so what begins
    alike is read, or purged, with one wildcard. Any other key is one token, its base64.
    """
    if key is None:
        return plain_subject(topic)
    if len(key) > KEY_BYTES_MAX:
        raise InvalidNameError(
            f"a key of {topic!r} has {len(key)} bytes; at most {KEY_BYTES_MAX} are possible"
        )
    if _DOTTED.fullmatch(key):
        return f"faust.{token_of(topic)}.{_DOTTED_KEY}.{key.decode('ascii')}"
    token = base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")
    return f"faust.{token_of(topic)}.{_KEY}{token}"


def key_of(subject: str) -> bytes | None:
    """Read back the key of a `keyed_subject`; None for a message without one."""
    kind, _, rest = subject.split(".", 2)[-1].partition(".")
    if kind == _DOTTED_KEY and rest:
        return rest.encode("ascii")
    token = kind
    if not token.startswith(_KEY):
        return None
    text = token[1:]
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None


def durable_name(group: str) -> str:
    """Give the durable consumer that the workers of a group share."""
    return token_of(group)


def token_of(name: str) -> str:
    """Give one subject token for any text; different texts give different tokens."""
    if not name:
        raise InvalidNameError("a topic or group needs a name")
    token = name
    if not _PLAIN.fullmatch(name):
        token = "".join(
            chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in name.encode("utf-8")
        )
    if len(token) > NAME_LENGTH_MAX:
        raise InvalidNameError(f"{name[:40]!r}… is too long for a name on NATS")
    return token
