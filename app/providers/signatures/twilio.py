"""Twilio: ``X-Twilio-Signature``, an HMAC over the public URL and the fields of the form.

In: that header, the URL as Twilio knows it, the body, the auth tokens. Out: a verdict. A form is
signed field by field, sorted by name, values of one name sorted and each once, blank ones kept;
any other body by its SHA-256 in the URL's query (``bodySHA256``). The digest is SHA-1, or SHA-256
if ``X-Twilio-Webhooks-Signature-Settings`` says so. There is no timestamp in it. Refuses a body
that neither covers.

Sources: twilio.com/docs/usage/security; error 57012 for the query.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import ClassVar, Final

from app.providers.provider import InboundRequest
from app.providers.signatures.body_hmac import match_hmac
from app.providers.signatures.reading import BASE64, decode_digest, read_header, read_text
from app.providers.signatures.scheme import (
    MALFORMED,
    MISMATCH,
    RefusalError,
    Verdict,
    verdict_of,
)
from app.providers.signatures.twilio_urls import query_value, split_form, url_spellings

HEADER: Final = "x-twilio-signature"
SETTINGS_HEADER: Final = "x-twilio-webhooks-signature-settings"
BODY_HASH: Final = "bodySHA256"
FIELDS_MAX: Final = 1000
"""Twilio sends some dozens; more are not sorted for whoever asks."""

_HASHES: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_FORM: Final = "application/x-www-form-urlencoded"
_WRONG: Final = (
    "the signature is none of this URL and these fields: is the URL the one that Twilio was given,"
    " and the secret the auth token of the same account?"
)


@dataclass(frozen=True, slots=True)
class TwilioScheme:
    """A digest of URL and fields in one header."""

    name: ClassVar[str] = "twilio"
    headers: ClassVar[frozenset[str]] = frozenset({HEADER, SETTINGS_HEADER})

    keys: tuple[bytes, ...] = field(repr=False)

    def judge(self, request: InboundRequest, *, now_seconds: float) -> Verdict:  # noqa: ARG002
        """Compare the header with what each secret makes of each spelling of the URL."""
        try:
            value = read_header(request.headers, HEADER)
            hash_name = _hash_name(request)
            given = decode_digest(value, hash_name, (BASE64,))
            url = _url(request)
            fields = _signed_fields(request, url)
        except RefusalError as refusal:
            return refusal.verdict
        found = [
            match_hmac(
                self.keys, spelling.encode("utf-8", "surrogatepass") + fields, hash_name, [given]
            )
            for spelling in url_spellings(url)
        ]
        verdict = verdict_of([any(column) for column in zip(*found, strict=True)])
        return verdict if verdict.is_accepted else Verdict(None, MISMATCH, _WRONG)

    def sign(self, request: InboundRequest, *, now_seconds: float) -> dict[str, str]:  # noqa: ARG002
        """Give the header, over the URL as it is; ValueError if the body would not be covered."""
        try:
            hash_name = _hash_name(request)
            url = _url(request)
            message = url.encode("utf-8", "surrogatepass") + _signed_fields(request, url)
        except RefusalError as refusal:
            raise ValueError(refusal.verdict.detail) from None
        digest = hmac.digest(self.keys[0], message, hash_name)
        return {HEADER: base64.b64encode(digest).decode()}


def _hash_name(request: InboundRequest) -> str:
    if SETTINGS_HEADER not in request.headers:
        return "sha1"
    for part in read_text(request.headers, SETTINGS_HEADER).split(","):
        name, _, value = part.strip().partition("=")
        if name == "algorithm":
            hash_name = _HASHES.get(value.strip().upper())
            if hash_name is None:
                raise RefusalError(MALFORMED, f"{SETTINGS_HEADER} names an unknown algorithm")
            return hash_name
    return "sha1"


def _url(request: InboundRequest) -> str:
    url = request.public_url()
    if not url:
        raise RefusalError(MALFORMED, "the public URL is not known, and Twilio signs it")
    return url


def _signed_fields(request: InboundRequest, url: str) -> bytes:
    """Give what is signed behind the URL; refuse a body that is not signed at all."""
    is_form = _is_form(request)
    body_hash = query_value(url, BODY_HASH)
    if is_form is False and request.body and body_hash is None:
        raise RefusalError(
            MALFORMED,
            f"the body is no form, and the URL's query has no {BODY_HASH} for it"
            f" (that of this body is {hashlib.sha256(request.body).hexdigest()})",
        )
    if body_hash is not None and not is_form:
        actual = hashlib.sha256(request.body).hexdigest().encode()
        if not hmac.compare_digest(actual, body_hash.lower().encode()):
            raise RefusalError(MISMATCH, f"{BODY_HASH} in the URL's query is not that of the body")
        return b""
    if request.body.count(b"&") >= FIELDS_MAX:
        raise RefusalError(MALFORMED, f"the form has more than {FIELDS_MAX} fields")
    values: dict[bytes, set[bytes]] = {}
    for key, value in split_form(request.body):
        values.setdefault(key, set()).add(value)
    return b"".join(key + value for key in sorted(values) for value in sorted(values[key]))


def _is_form(request: InboundRequest) -> bool | None:
    """Tell by the media type whether the body is a form; None where there is no media type."""
    media_type = request.headers.get("content-type")
    if media_type is None:
        return None
    return media_type.partition(";")[0].strip().lower() == _FORM
