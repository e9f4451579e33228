"""What SendGrid posts to us: events of mails sent, and mails received.

In: requests of the two routes. Out: events. Refuses, with SignatureError, posts that cannot prove
where they come from; in env ``prod`` that is every post to a route without a key or a token.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final

from actors.outcomes import Answer
from actors.ports import Clock
from app.errors import ProviderDisabledError, SignatureError
from app.providers.email.sender import PROD_ENV
from app.providers.email_sendgrid.events import EVENTS_BODY_BYTES_MAX, receive_events
from app.providers.email_sendgrid.inbound_parse import INBOUND_BODY_BYTES_MAX, receive_mail
from app.providers.email_sendgrid.metadata import build_metadata
from app.providers.email_sendgrid.options import ALGORITHM, InboundParseOptions, SendGridOptions
from app.providers.provider import HttpAnswer, Inbound, InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.signatures.scheme import Scheme

EVENTS_ROUTE: Final = "events"
INBOUND_ROUTE: Final = "inbound"
EVENT_KEY: Final = "event_webhook_public_key"
"""What ``metadata.signature`` says when the Event Webhook's key matched."""
PARSE_KEY: Final = "inbound_parse.public_key"
PARSE_TOKEN: Final = "inbound_parse.token"  # noqa: S105 - the option's name

_AUTHORIZATION_CHARS_MAX: Final = 2048
_UNSIGNED: Final = (
    "SendGrid's events are not signed: anybody who reaches the port can post them"
    " (set event_webhook_public_key)"
)
_UNPROVEN: Final = (
    "posts of Inbound Parse prove nothing: anybody who reaches the port can post mails"
    " (set inbound_parse.token or inbound_parse.public_key)"
)
_REFUSED: Final = "in env prod they are refused"


class SendGridInbound:
    """The two routes' half of the provider."""

    __slots__ = ("_clock", "_env", "_events", "_parse", "_parses", "_token")

    def __init__(self, options: SendGridOptions, env: str, clock: Clock) -> None:
        self._env = env
        self._clock = clock
        parse = options.inbound_parse
        self._parses = parse is not False
        self._events = _scheme(options.event_webhook_public_key)
        settings = parse if isinstance(parse, InboundParseOptions) else InboundParseOptions()
        self._parse = _scheme(settings.public_key)
        token = settings.token
        self._token = None if token is None else token.get_secret_value().encode()

    @property
    def sync_timeout_seconds(self) -> float:
        """Give 0: SendGrid has no use for a flow's answer."""
        return 0.0

    @property
    def warnings(self) -> Sequence[str]:
        """Say what is unsafe, to be heard once at start."""
        found = [_UNSIGNED] if self._events is None else []
        if self._parses and self._token is None and self._parse is None:
            found.append(_UNPROVEN)
        return [f"{text}; {_REFUSED}" if self._env == PROD_ENV else text for text in found]

    def body_bytes_max(self, route: str) -> int:
        """Give the largest body a route takes."""
        return INBOUND_BODY_BYTES_MAX if route == INBOUND_ROUTE else EVENTS_BODY_BYTES_MAX

    def verify(self, request: InboundRequest) -> str | None:
        """Check where a post comes from; give the option that proved it."""
        if request.route == INBOUND_ROUTE:
            return self._verify_mail(request)
        if self._events is None:
            self._refuse_in_prod()
            return None
        return self._check(self._events, request, EVENT_KEY)

    def receive(self, request: InboundRequest, signature: str | None) -> Inbound:
        """Make events of a verified post."""
        schemes = (self._events, self._parse)
        secret = frozenset[str]().union(*(scheme.headers for scheme in schemes if scheme))
        metadata = build_metadata(request, secret, signature)
        if request.route == INBOUND_ROUTE:
            return receive_mail(request, metadata)
        return receive_events(request.body, metadata)

    def answer(self, route: str, reply: Answer | None) -> HttpAnswer | None:  # noqa: ARG002
        """Leave the answer to SPEC 9: SendGrid reads the status alone."""
        return None

    def _verify_mail(self, request: InboundRequest) -> str | None:
        if not self._parses:
            raise ProviderDisabledError("inbound_parse is not enabled")
        if self._token is None and self._parse is None:
            self._refuse_in_prod()
            return None
        if self._token is not None and not _has_token(request, self._token):
            raise SignatureError("the token in the URL is missing or wrong")
        if self._parse is not None:
            return self._check(self._parse, request, PARSE_KEY)
        return PARSE_TOKEN

    def _check(self, scheme: Scheme, request: InboundRequest, name: str) -> str:
        now_seconds = self._clock.now_ms() / 1000
        verdict = scheme.judge(request, now_seconds=now_seconds)
        if verdict.key is None:
            raise SignatureError(verdict.detail or verdict.reason)
        return name if verdict.key == 0 else f"{name}[{verdict.key}]"

    def _refuse_in_prod(self) -> None:
        if self._env == PROD_ENV:
            raise SignatureError("no key is configured, and env prod takes signed posts")


def _scheme(keys: tuple[str, ...] | None) -> Scheme | None:
    return None if keys is None else build_scheme(ALGORITHM, keys)


def _has_token(request: InboundRequest, token: bytes) -> bool:
    """Look for the token in the query and as a password, comparing in constant time."""
    in_query = request.query.get("token", "").encode("utf-8", "surrogatepass")
    in_header = _password(request.headers.get("authorization", ""))
    matches_query = hmac.compare_digest(in_query, token)
    return hmac.compare_digest(in_header, token) or matches_query


def _password(authorization: str) -> bytes:
    """Give the password of HTTP's Basic scheme; nothing for anything else."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic" or len(credentials) > _AUTHORIZATION_CHARS_MAX:
        return b""
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except (ValueError, binascii.Error):
        return b""
    return decoded.partition(b":")[2]
