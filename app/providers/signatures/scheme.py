"""What a signature scheme is, and what it says of a request.

In: a raw request and the time. Out: a `Verdict`; a refusal has a stable reason and a sentence for
the person who debugs. Judging is total: whatever stands in headers and body, it ends in a verdict
and never in an exception. No verdict has a secret or an expected digest in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.providers.provider import InboundRequest

MISSING: Final = "missing"
"""A header that the scheme reads is not there, or is empty."""
MALFORMED: Final = "malformed"
"""It is there and cannot be a signature of this scheme."""
MISMATCH: Final = "mismatch"
"""It has the right form, and no secret made it for these bytes."""
TOO_OLD: Final = "too_old"
TOO_NEW: Final = "too_new"

TOLERANCE_SECONDS: Final = 300
"""How far a sender's clock may be off, both ways, where the scheme signs a timestamp."""

OTHER_BYTES: Final = (
    "the signature has the right form, but signs other bytes or was made with another secret"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scheme says of a request: accepted by one of its secrets, or refused."""

    key: int | None
    """The position, from 0, of the secret that matched; None: refused."""
    reason: str = ""
    """Stable code of a refusal: one of the constants above."""
    detail: str = ""
    """One sentence for a person who debugs a refusal."""
    signed_id: str | None = None
    """A delivery id that the signature covers, so that nobody can replay under another one."""

    @property
    def is_accepted(self) -> bool:
        """Tell whether the request is from somebody who has a secret."""
        return self.key is not None


class Scheme(Protocol):
    """One way of signing requests, with its secrets."""

    @property
    def name(self) -> str:
        """Give its name in the catalogue."""
        ...

    @property
    def headers(self) -> frozenset[str]:
        """Give the lower-case names of the headers it reads; events do not keep them."""
        ...

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:
        """Examine a request. Never raises; takes the same time whichever secret matches."""
        ...

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:
        """Give the headers, lower-case, that the first secret puts on this request.

        ValueError where the secret only checks (a public key), or the request cannot be signed.
        """
        ...


class RefusalError(Exception):
    """A step of judging found a reason to refuse. It never leaves this package."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(key=None, reason=reason, detail=detail)


def verdict_of(matches: Sequence[bool], *, signed_id: str | None = None) -> Verdict:
    """Make the verdict of what each secret came to."""
    if True in matches:
        return Verdict(key=matches.index(True), signed_id=signed_id)
    return Verdict(key=None, reason=MISMATCH, detail=OTHER_BYTES)
