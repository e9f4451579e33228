"""A secret sent along as it is: ``token`` in a header, or ``basic`` as user and password.

In: one header, ``Authorization`` unless another is named. Out: a verdict. Nothing of the body is
signed, so this is only as safe as the way here: TLS, and nobody who reads headers. What is compared
are hashes, so that not even a length shows in the time taken.

Sources: RFC 7617 (Basic), RFC 6750 (Bearer); docs.gitlab.com "Webhooks" (``X-Gitlab-Token``).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from app.providers.provider import InboundRequest
from app.providers.signatures.reading import HEADER_CHARS_MAX, decode_base64
from app.providers.signatures.scheme import (
    MALFORMED,
    MISMATCH,
    MISSING,
    RefusalError,
    Verdict,
    verdict_of,
)

AUTHORIZATION: Final = "authorization"
_BEARER: Final = "bearer "
_BASIC: Final = "basic "


@dataclass(frozen=True, slots=True)
class TokenScheme:
    """The header is the secret; in ``Authorization``, ``Bearer`` may stand before it."""

    name: ClassVar[str] = "token"

    keys: tuple[bytes, ...] = field(repr=False)
    header: str = AUTHORIZATION

    @property
    def headers(self) -> frozenset[str]:
        """Give the one header."""
        return frozenset({self.header})

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:  # noqa: ARG002
        """Compare the header with each secret."""
        try:
            value = _read(request, self.header)
        except RefusalError as refusal:
            return refusal.verdict
        candidates = [value.encode("latin-1")]
        if self.header == AUTHORIZATION and value[: len(_BEARER)].lower() == _BEARER:
            candidates.append(value[len(_BEARER) :].strip(" ").encode("latin-1"))
        return _compare(self.keys, candidates, "the token is none of the secrets")

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:  # noqa: ARG002
        """Give the header."""
        token = self.keys[0].decode("latin-1")
        return {self.header: f"Bearer {token}" if self.header == AUTHORIZATION else token}


@dataclass(frozen=True, slots=True)
class BasicScheme:
    """``Authorization: Basic <base64 of user:password>``, in UTF-8."""

    name: ClassVar[str] = "basic"

    keys: tuple[bytes, ...] = field(repr=False)
    header: str = AUTHORIZATION

    @property
    def headers(self) -> frozenset[str]:
        """Give the one header."""
        return frozenset({self.header})

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:  # noqa: ARG002
        """Compare user and password with each secret."""
        try:
            given = _parse_basic(_read(request, self.header))
        except RefusalError as refusal:
            return refusal.verdict
        return _compare(self.keys, [given], "user and password are none of the secrets")

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:  # noqa: ARG002
        """Give the header."""
        return {self.header: f"Basic {base64.b64encode(self.keys[0]).decode()}"}


def check_token(key: bytes) -> bytes:
    """Refuse, with ValueError, a token that no header can carry."""
    if key != key.strip() or any(byte < 32 or byte == 127 for byte in key):  # noqa: PLR2004 - ASCII
        raise ValueError("the secret has blanks around it or control characters in it")
    return key


def check_user_and_password(key: bytes) -> bytes:
    """Refuse, with ValueError, what is no ``user:password``, or has an empty password."""
    user, colon, password = key.partition(b":")
    if not colon or not password:
        raise ValueError("the secret is no user:password")
    if any(byte < 32 or byte == 127 for byte in user + password):  # noqa: PLR2004 - ASCII
        raise ValueError("the secret has control characters in it")
    return key


def _read(request: InboundRequest, header: str) -> str:
    value = request.headers.get(header, "").strip(" ")
    if not value:
        state = "empty" if header in request.headers else "missing"
        raise RefusalError(MISSING, f"the header {header} is {state}")
    if len(value) > HEADER_CHARS_MAX:
        raise RefusalError(MALFORMED, f"the header {header} is {len(value)} characters long")
    if any(ord(char) > 255 for char in value):  # noqa: PLR2004 - latin-1 is what headers are
        raise RefusalError(MALFORMED, f"the header {header} is no latin-1 text")
    return value


def _parse_basic(value: str) -> bytes:
    if value[: len(_BASIC)].lower() != _BASIC:
        raise RefusalError(MALFORMED, "the header does not begin with Basic")
    given = decode_base64(value[len(_BASIC) :].strip(" "))
    if given is None:
        raise RefusalError(MALFORMED, "what follows Basic is no base64")
    if b":" not in given:
        raise RefusalError(MALFORMED, "what follows Basic is no user:password in base64")
    return given


def _compare(keys: Sequence[bytes], candidates: Sequence[bytes], otherwise: str) -> Verdict:
    hashed = [hashlib.sha256(candidate).digest() for candidate in candidates]
    matches: list[bool] = []
    for key in keys:
        expected = hashlib.sha256(key).digest()
        matches.append(True in [hmac.compare_digest(given, expected) for given in hashed])
    verdict = verdict_of(matches)
    return verdict if verdict.is_accepted else Verdict(None, MISMATCH, otherwise)
