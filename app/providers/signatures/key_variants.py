"""How a secret may have been meant, where it was configured otherwise.

In: a scheme and the secrets as texts. Out: the same scheme with keys read otherwise, each with the
words that follow "it fits with the secret …". The usual culprits: a line feed from a file, quotes
from a shell, ``whsec_`` kept where it must go or gone where it must stay, base64 taken as text.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from app.providers.signatures.body_hmac import BodyHmac
from app.providers.signatures.reading import decode_hex
from app.providers.signatures.scheme import Scheme
from app.providers.signatures.secrets_given import decode_base64_key
from app.providers.signatures.shared_secret import BasicScheme, TokenScheme
from app.providers.signatures.slack import SlackScheme
from app.providers.signatures.standard_webhooks import (
    HMAC_SECRET,
    SharedKey,
    StandardWebhooksScheme,
)
from app.providers.signatures.stripe import StripeScheme
from app.providers.signatures.twilio import TwilioScheme

VariantScheme = tuple[str, Scheme]

_QUOTES: Final = "'\"`"


def key_variants(scheme: Scheme, secrets: Sequence[str]) -> list[VariantScheme]:
    """Give the scheme with its keys read otherwise; all secrets in the same way at once."""
    variants: list[VariantScheme] = []
    seen = [scheme]
    for words, read in _READINGS:
        keys = tuple(key for secret in secrets if (key := read(secret)))
        other = _with_keys(scheme, keys) if keys else None
        if other is not None and other not in seen:
            seen.append(other)
            variants.append((words, other))
    return variants


def _with_keys(scheme: Scheme, keys: tuple[bytes, ...]) -> Scheme | None:
    match scheme:
        case BodyHmac() | StripeScheme() | SlackScheme() | TwilioScheme():
            return replace(scheme, keys=keys)
        case TokenScheme() | BasicScheme():
            return replace(scheme, keys=keys)
        case StandardWebhooksScheme():
            return replace(scheme, keys=tuple(SharedKey(key) for key in keys))
        case _:
            return None  # keys of two halves have one reading


def _stripped(secret: str) -> bytes:
    return _utf8(secret.strip())


def _unquoted(secret: str) -> bytes:
    return _utf8(secret.strip().strip(_QUOTES))


def _with_line_feed(secret: str) -> bytes:
    return _utf8(secret) + b"\n"


def _without_prefix(secret: str) -> bytes:
    return _utf8(secret.strip().removeprefix(HMAC_SECRET))


def _with_prefix(secret: str) -> bytes:
    return _utf8(HMAC_SECRET + secret.strip().removeprefix(HMAC_SECRET))


def _from_base64(secret: str) -> bytes:
    try:
        return decode_base64_key(secret.strip().removeprefix(HMAC_SECRET))
    except ValueError:
        return b""


def _from_hex(secret: str) -> bytes:
    return decode_hex(secret.strip().removeprefix(HMAC_SECRET)) or b""


def _after_bearer(secret: str) -> bytes:
    return b"Bearer " + _utf8(secret)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_READINGS: Final[tuple[tuple[str, Callable[[str], bytes]], ...]] = (
    ("as it is, in UTF-8", _utf8),
    ("without the blanks around it", _stripped),
    ("without the quotes around it", _unquoted),
    ("with a line feed behind it", _with_line_feed),
    (f"without {HMAC_SECRET} before it", _without_prefix),
    (f"with {HMAC_SECRET} before it", _with_prefix),
    (f"decoded from base64 ({HMAC_SECRET} taken away)", _from_base64),
    ("decoded from hex", _from_hex),
    ("with Bearer before it", _after_bearer),
)
