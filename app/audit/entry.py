"""One entry of the audit log: who did what to which thing, and what it was before and after.

In: names and plain JSON values. Out: bounded bytes, and entries read back. Writing refuses nothing:
what is too large is cut and says so, and whatever looks like an API key loses its secret part.
Reading refuses (StoreError) what is not exactly an entry of this version.

An entry is written *before* its change: see `app.audit.log`. Where the change then fails, another
entry says so by its ``error``, and names the first by ``of``.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from actors.errors import InvalidEventError, InvalidSubjectError
from actors.subjects import check_token
from app.bus.codec import decode_json, encode_json
from app.errors import StoreError

VERSION: Final = 1
VALUE_BYTES_MAX: Final = 8 * 1024
"""Of ``before`` and of ``after``, as JSON."""
HEAD_CHARS: Final = 2000
"""What is kept of one that is larger."""
TEXT_CHARS_MAX: Final = 512
ENTRY_BYTES_MAX: Final = 64 * 1024
SYSTEM: Final = "system"
"""The program itself, as an actor and a source."""

Source = Literal["cli", "api", "platform-api", "system"]
"""The way in that was used; ``platform-api``: with a platform key."""

_ACTION: Final = re.compile(r"[a-z][a-z_]{0,39}(?:\.[a-z][a-z_]{0,39}){1,3}")
_KEY: Final = re.compile(r"gte_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Who:
    """Who acts: ``cli:{os user}@{host}``, ``key:{prefix}`` or ``system``, and by which way in."""

    actor: str
    source: Source


OURSELVES: Final = Who(SYSTEM, "system")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what. ``before`` and ``after`` are JSON values, and never hold a secret."""

    actor: str
    action: str
    """``noun.verb``, like ``key.revoke``."""
    tenant: str | None
    """None: it concerns no tenant, or all."""
    target: str
    """What was changed, like a key's prefix or a secret's name."""
    before: Any
    after: Any
    at_ms: int
    source: Source
    error: str | None = None
    """The code of the error that the change ended with; None for the change itself."""
    of: str | None = None
    """The id of the entry whose change failed."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def as_mapping(self) -> dict[str, Any]:
        """Give its document."""
        return {
            "v": VERSION,
            "id": self.id,
            "at_ms": self.at_ms,
            "actor": self.actor,
            "source": self.source,
            "action": self.action,
            "tenant": self.tenant,
            "target": self.target,
            "before": self.before,
            "after": self.after,
            "error": self.error,
            "of": self.of,
        }


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    id: str
    at_ms: int
    actor: str
    source: Source
    action: str
    tenant: str | None
    target: str
    before: Any
    after: Any
    error: str | None
    of: str | None


def check_action(action: str) -> str:
    """Give an action back if it may be one. Actions are ours: ValueError is a defect."""
    if not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is no action of the audit log")
    return action


def encode_entry(entry: AuditEntry) -> bytes:
    """Write an entry, cut to size and without secret parts of keys."""
    document = entry.as_mapping() | {
        "action": check_action(entry.action),
        "actor": _line(entry.actor),
        "target": _line(entry.target),
        "before": _bounded(entry.before),
        "after": _bounded(entry.after),
    }
    text = encode_json(document, "audit").decode()
    return _KEY.sub(r"gte_\1_...", text).encode()


def decode_entry(data: bytes) -> AuditEntry:
    """Read an entry; StoreError says that it is none, and not what stands in it."""
    try:
        if len(data) > ENTRY_BYTES_MAX:
            raise StoreError("an entry of the audit log is too large")
        found = msgspec.convert(decode_json(data, "audit"), _Document, strict=True)
        if found.v != VERSION or not _ACTION.fullmatch(found.action):
            raise StoreError("this is no entry of the audit log")
        if found.tenant is not None:
            check_token(found.tenant, "tenant")
    except (InvalidEventError, InvalidSubjectError, msgspec.ValidationError) as error:
        raise StoreError("this is no entry of the audit log") from error
    fields: Mapping[str, Any] = msgspec.structs.asdict(found)
    return AuditEntry(**{name: value for name, value in fields.items() if name != "v"})


def _line(text: str) -> str:
    """Make one printable line of a text, bounded; strangers choose targets."""
    shown = "".join(char if char.isprintable() else "?" for char in text[: TEXT_CHARS_MAX + 1])
    return shown if len(shown) <= TEXT_CHARS_MAX else f"{shown[: TEXT_CHARS_MAX - 1]}…"


def _bounded(value: Any) -> Any:
    try:
        data = encode_json(value, "audit")
    except InvalidEventError:
        return {"cut": True, "bytes": None, "head": f"a {type(value).__name__}"}
    if len(data) <= VALUE_BYTES_MAX:
        return value
    # Masked before it is cut: half a key would look like none.
    text = _KEY.sub(r"gte_\1_...", data.decode())
    return {"cut": True, "bytes": len(data), "head": text[:HEAD_CHARS]}
