"""Why a request was refused, found by trying what would have been accepted.

In: a scheme, its secrets, the request, its verdict. Out: sentences for the person who debugs, the
likeliest first; none where nothing that was tried fits. For the command line only: it takes many
times as long as a verdict, and says more than a sender should hear. No sentence has a secret or a
digest in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from app.providers.provider import InboundRequest
from app.providers.signatures import sendgrid, slack, stripe, twilio
from app.providers.signatures.body_hmac import GITHUB_HEADER, SHOPIFY_HEADER, BodyHmac
from app.providers.signatures.body_variants import body_variants
from app.providers.signatures.key_variants import key_variants
from app.providers.signatures.scheme import MISSING, TOO_NEW, TOO_OLD, Scheme, Verdict
from app.providers.signatures.sendgrid import SendgridScheme
from app.providers.signatures.slack import SlackScheme
from app.providers.signatures.standard_webhooks import SIGNATURE_HEADERS, StandardWebhooksScheme
from app.providers.signatures.stripe import StripeScheme
from app.providers.signatures.twilio import TwilioScheme

_ANY_AGE_SECONDS: Final = 10**12
_HASHES: Final = ("sha1", "sha256", "sha512")
_KNOWN_HEADERS: Final = {
    GITHUB_HEADER: "github",
    "x-hub-signature": "GitHub's older sha1 (algorithm sha1, header X-Hub-Signature)",
    SHOPIFY_HEADER: "shopify",
    stripe.HEADER: "stripe",
    slack.HEADER: "slack",
    twilio.HEADER: "twilio",
    sendgrid.HEADER: "sendgrid",
    "x-gitlab-token": "token (header X-Gitlab-Token)",
    "authorization": "token or basic",
} | dict.fromkeys(SIGNATURE_HEADERS, "standard-webhooks")


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused."""

    scheme: Scheme
    secrets: Sequence[str] = field(repr=False)
    request: InboundRequest
    verdict: Verdict
    now_seconds: float

    def is_accepted(
        self, *, scheme: Scheme | None = None, request: InboundRequest | None = None
    ) -> bool:
        """Judge again with a part exchanged."""
        judge = (scheme or self.scheme).judge
        return judge(request or self.request, now_seconds=self.now_seconds).is_accepted


def diagnose(refused: Refused) -> list[str]:
    """Say what would have been accepted."""
    if refused.verdict.reason == MISSING:
        return _other_headers(refused)
    timeless = replace(refused, scheme=_without_age(refused.scheme))
    if timeless.is_accepted():
        return ["the signature itself is right: only its time is off"]
    found = [*_by_key(timeless), *_by_body(timeless), *_by_url(timeless), *_by_hash(timeless)]
    found = found or list(_by_key_and_body(timeless))
    if found and refused.verdict.reason in (TOO_OLD, TOO_NEW):
        return ["apart from its time:", *found]
    return found


def _other_headers(refused: Refused) -> list[str]:
    others = [name for name in _KNOWN_HEADERS if name in refused.request.headers]
    return [
        f"there is a header {name}, which belongs to {_KNOWN_HEADERS[name]}"
        for name in others
        if name not in refused.scheme.headers
    ]


def _without_age(scheme: Scheme) -> Scheme:
    match scheme:
        case StripeScheme() | SlackScheme() | StandardWebhooksScheme():
            return replace(scheme, tolerance_seconds=_ANY_AGE_SECONDS)
        case SendgridScheme():
            return replace(scheme, past_seconds=_ANY_AGE_SECONDS, future_seconds=_ANY_AGE_SECONDS)
        case _:
            return scheme


def _by_key(refused: Refused) -> Iterator[str]:
    for words, scheme in key_variants(refused.scheme, refused.secrets):
        if refused.is_accepted(scheme=scheme):
            yield f"the signature fits with the secret {words}"


def _by_body(refused: Refused) -> Iterator[str]:
    for words, body in body_variants(refused.request.body):
        if refused.is_accepted(request=replace(refused.request, body=body)):
            yield f"the signature fits the body {words}: the body was changed after it was signed"


def _by_key_and_body(refused: Refused) -> Iterator[str]:
    bodies = body_variants(refused.request.body)
    for key_words, scheme in key_variants(refused.scheme, refused.secrets):
        for body_words, body in bodies:
            request = replace(refused.request, body=body)
            if refused.is_accepted(scheme=scheme, request=request):
                yield (
                    f"the signature fits the body {body_words}, with the secret {key_words}:"
                    " two things are wrong"
                )
                return


def _by_hash(refused: Refused) -> Iterator[str]:
    """Try the other hashes and encodings on a header that has a digest of the body."""
    scheme = refused.scheme
    if not isinstance(scheme, BodyHmac):
        return
    for name in _HASHES:
        other = BodyHmac(name, scheme.header, scheme.keys, hash_name=name)
        if other != scheme and refused.is_accepted(scheme=other):
            yield (
                f"the signature fits as {name} in {_encoding(refused, scheme.header)}"
                f" (algorithm {name}, header {scheme.header})"
            )


def _encoding(refused: Refused, header: str) -> str:
    text = refused.request.headers[header].rpartition("=")[2] or "="
    return "hex" if all(char in "0123456789abcdefABCDEF" for char in text) else "base64"


def _by_url(refused: Refused) -> Iterator[str]:
    if not isinstance(refused.scheme, TwilioScheme):
        return
    for words, url in _url_variants(refused.request):
        request = replace(refused.request, public_url=partial(str, url))
        if refused.is_accepted(request=request):
            yield f"the signature fits the URL {words}: {url}"


def _url_variants(request: InboundRequest) -> Iterator[tuple[str, str]]:
    url = request.public_url()
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    other = "http" if parts.scheme == "https" else "https"
    yield f"with {other}, as before or behind a proxy", urlunsplit(parts._replace(scheme=other))
    for name in ("x-forwarded-host", "x-original-host", "host"):
        host = request.headers.get(name)
        if host:
            for scheme in (parts.scheme, other):
                moved = parts._replace(netloc=host, scheme=scheme)
                yield f"with the host of the header {name}", urlunsplit(moved)
    slashed = parts.path.rstrip("/") if parts.path.endswith("/") else f"{parts.path}/"
    yield "with the slash at its end the other way", urlunsplit(parts._replace(path=slashed))
    yield "without its query", urlunsplit(parts._replace(query=""))
