"""Sends one event: as a webhook over HTTP, straight onto the bus, or through the API.

In: a checked request. Out: `Sent`, what the receiver said. Refuses names that are no tokens and
types that are no event types; a server that does not answer is UnavailableError.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from actors.errors import UnavailableError
from actors.events import Event, check_event_type
from actors.ports import Envelope
from actors.subjects import check_token
from app.bus.acked_publisher import AckedPublisher
from app.bus.connection import BusSettings
from app.bus.publisher import JetStreamEventPublisher
from app.cli.api_client import ApiAddress, ApiClient, at_api, below
from app.cli.connecting import connected
from app.errors import CommandError
from app.system import SystemClock, UlidIds

ANSWER_SECONDS: Final = 70.0
"""Longer than any webhook may wait for its flow (SPEC 6, ``sync_timeout_ms``)."""
PUBLISH_SECONDS: Final = 5.0
ANSWER_CHARS_MAX: Final = 1024 * 1024
SOURCE: Final = "api"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One event to send. ``body`` is the payload's JSON as it was given: signatures cover it."""

    tenant: str
    event_type: str
    body: bytes
    payload: Any
    secret: str | None = field(default=None, repr=False)
    secret_header: str = ""

    def check(self) -> None:
        """Refuse names that can be no part of a subject: InvalidSubjectError, InvalidEventError."""
        check_token(self.tenant, "tenant")
        check_event_type(self.event_type)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the receiver said. ``status`` is HTTP's, or 202 from the bus."""

    status: int
    event_id: str | None
    body: Any
    is_duplicate: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the event is stored, or was answered by a flow."""
        return self.status < 400  # noqa: PLR2004 - HTTP's own border of errors

    @property
    def text(self) -> str:
        """The answer for people; empty where it was a bare acknowledgement."""
        if self.is_accepted and self.event_id is not None:
            return ""
        if isinstance(self.body, str):
            return self.body
        return json.dumps(self.body, indent=2, ensure_ascii=False)

    def as_document(self) -> dict[str, Any]:
        """Give it as ``--json`` shows it."""
        return {
            "accepted": self.is_accepted,
            "status": self.status,
            "event_id": self.event_id,
            "duplicate": self.is_duplicate,
            "body": self.body,
        }


def send_over_http(url: str, request: SendRequest) -> Sent:
    """Post it as a webhook. UnavailableError when nobody answers."""
    _check_address(url)
    target = f"{url.rstrip('/')}/events/webhook/{request.tenant}/{request.event_type}"
    headers = {"content-type": "application/json"}
    if request.secret is not None:
        digest = hmac.new(request.secret.encode(), request.body, hashlib.sha256).hexdigest()
        headers[request.secret_header] = f"sha256={digest}"
    try:
        # The environment's proxies are for the world, not for a server on this machine.
        with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = client.post(target, content=request.body, headers=headers)
    except httpx.TransportError as error:
        raise UnavailableError(f"{url} does not answer: {error}") from None
    body = _answer_body(answer)
    is_plain = answer.status_code == httpx.codes.ACCEPTED and isinstance(body, dict)
    event_id = body.get("event_id") if is_plain else None
    return Sent(answer.status_code, event_id if isinstance(event_id, str) else None, body)


async def send_over_nats(settings: BusSettings, env: str, request: SendRequest) -> Sent:
    """Publish it and wait until the stream has it. UnavailableError when it may not have it."""
    check_token(env, "env")
    event = Event(
        id=UlidIds().event_id(),
        event_type=request.event_type,
        source=SOURCE,
        timestamp=SystemClock().now_ms(),
        payload=request.payload,
    )
    async with connected(settings) as bus:
        publisher = await AckedPublisher.start(bus, deadline_seconds=PUBLISH_SECONDS)
        try:
            envelope = Envelope(tenant=request.tenant, event=event, message_id=event.id)
            ack = await JetStreamEventPublisher(publisher, env=env).publish(envelope)
        finally:
            publisher.close()
    body = {"event_id": ack.event_id, "sequence": ack.sequence}
    return Sent(httpx.codes.ACCEPTED.value, ack.event_id, body, ack.is_duplicate)


def send_over_api(address: ApiAddress, request: SendRequest) -> Sent:
    """Publish it through the API, within the tenant's quotas; see `app.cli.api_client`."""
    path = below("tenants", request.tenant, "events")
    body = {"event_type": request.event_type, "payload": request.payload}

    async def publish(client: ApiClient) -> Sent:
        ack = client.read(await client.send("POST", path, body), _Ack)
        told = {"event_id": ack.event_id, "sequence": ack.sequence}
        return Sent(httpx.codes.ACCEPTED.value, ack.event_id, told, ack.duplicate)

    return at_api(address, publish)


@dataclass(frozen=True, slots=True)
class _Ack:
    event_id: str
    sequence: int
    duplicate: bool


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise CommandError(f"{url!r} is no address", hint="like http://127.0.0.1:8080")


def _answer_body(answer: httpx.Response) -> Any:
    if len(answer.content) <= ANSWER_CHARS_MAX and "json" in answer.headers.get("content-type", ""):
        try:
            return answer.json()
        except ValueError:
            pass
    return answer.text[:ANSWER_CHARS_MAX]
