"""HMAC over the raw body: ``sha1``, ``sha256``, ``sha512``, and as GitHub and Shopify send it.

In: a header with the digest, the body's bytes, the secrets as UTF-8. Out: a verdict. There is no
timestamp in it: what defends against replay is the sender's delivery id. Refuses a prefix of
another hash, and an encoding that the scheme does not have.

Sources: docs.github.com "Validating webhook deliveries"; shopify.dev "Verify webhooks".
"""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.providers.provider import InboundRequest
from app.providers.signatures.reading import (
    BASE64,
    HEX,
    decode_digest,
    read_each,
    read_header,
)
from app.providers.signatures.scheme import MALFORMED, RefusalError, Verdict, verdict_of

GITHUB_HEADER: Final = "x-hub-signature-256"
SHOPIFY_HEADER: Final = "x-shopify-hmac-sha256"

_PREFIX = re.compile(r"([A-Za-z0-9-]{1,16})=(?=[^=])")


@dataclass(frozen=True, slots=True)
class BodyHmac:
    """A digest of the body in one header, with or without the hash's name before it."""

    name: str
    header: str
    keys: tuple[bytes, ...] = field(repr=False)
    hash_name: str = "sha256"
    encodings: tuple[str, ...] = (HEX, BASE64)
    """What is read; the first one is written."""
    is_prefix_needed: bool = False

    @property
    def headers(self) -> frozenset[str]:
        """Give the one header."""
        return frozenset({self.header})

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:  # noqa: ARG002
        """Compare the header with what each secret comes to."""
        try:
            candidates = self._read(read_header(request.headers, self.header))
        except RefusalError as refusal:
            return refusal.verdict
        return verdict_of(match_hmac(self.keys, request.body, self.hash_name, candidates))

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:  # noqa: ARG002
        """Give the header."""
        digest = hmac.digest(self.keys[0], request.body, self.hash_name)
        text = digest.hex() if self.encodings[0] == HEX else base64.b64encode(digest).decode()
        return {self.header: f"{self.hash_name}={text}" if self.is_prefix_needed else text}

    def _read(self, value: str) -> list[bytes]:
        """Read the digests: one, or several with commas between them while a secret changes."""
        return read_each(value.split(","), self._read_one)

    def _read_one(self, value: str) -> bytes:
        prefix = _PREFIX.match(value)
        if prefix is None:
            if self.is_prefix_needed:
                raise RefusalError(MALFORMED, f"the signature must begin with {self.hash_name}=")
            return decode_digest(value, self.hash_name, self.encodings)
        if prefix[1] != self.hash_name:
            raise RefusalError(
                MALFORMED, f"the signature begins with another prefix than {self.hash_name}="
            )
        return decode_digest(value[prefix.end() :], self.hash_name, self.encodings)


def match_hmac(
    keys: Sequence[bytes], message: bytes, hash_name: str, candidates: Sequence[bytes]
) -> list[bool]:
    """Tell for each key whether one of the candidates is its HMAC; all are compared, always."""
    matches: list[bool] = []
    for key in keys:
        expected = hmac.digest(key, message, hash_name)
        found = [hmac.compare_digest(candidate, expected) for candidate in candidates]
        matches.append(True in found)
    return matches


def github(keys: tuple[bytes, ...]) -> BodyHmac:
    """``X-Hub-Signature-256: sha256=<hex>``."""
    return BodyHmac("github", GITHUB_HEADER, keys, encodings=(HEX,), is_prefix_needed=True)


def shopify(keys: tuple[bytes, ...]) -> BodyHmac:
    """``X-Shopify-Hmac-Sha256: <base64>``, by the app's client secret."""
    return BodyHmac("shopify", SHOPIFY_HEADER, keys, encodings=(BASE64,))
