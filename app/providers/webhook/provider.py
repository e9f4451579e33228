"""The webhook door: verify who sent a request, then make events of its body.

In: raw requests of the routes ``event`` and ``batch``. Out: normalized events with source
``webhook``, or a CloudEvent's own. Refuses wrong signatures, media types it does not read, bodies
that are not what they say, and event types that belong to another provider.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.outcomes import Answer
from actors.ports import Clock, NormalizedEvent
from app.providers.json_body import decode_json_body
from app.providers.provider import ApiKeys, HttpAnswer, Inbound, InboundRequest
from app.providers.webhook.batch import BatchReader
from app.providers.webhook.bodies import (
    WANTED,
    BodyKind,
    check_headers,
    decode_form,
    refuse_body,
)
from app.providers.webhook.cloudevents import (
    CloudEvent,
    is_binary_mode,
    parse_binary,
    parse_document,
)
from app.providers.webhook.delivery import find_delivery_id, signed_delivery_id
from app.providers.webhook.events import (
    SOURCE,
    check_own_type,
    event_of_cloudevent,
    metadata_of,
)
from app.providers.webhook.guards import PROD_ENV, Guard, Guards
from app.providers.webhook.handshake import handshake
from app.providers.webhook.options import WebhookOptions
from app.providers.webhook.slack import answer_challenge

EVENT_ROUTE: Final = "event"
BATCH_ROUTE: Final = "batch"

_BATCHES_WANTED: Final = "application/x-ndjson or application/cloudevents-batch+json"
_SLACK: Final = "slack"
_ID_SIGNED: Final = frozenset({"standard-webhooks", "stripe", "slack"})
"""Algorithms whose signature covers an id or a time: not so the headers of binary mode."""


class WebhookProvider:
    """Takes JSON, forms and CloudEvents in, one a request or many."""

    __slots__ = ("_env", "_guards", "_options", "_sync_timeout_seconds")

    def __init__(
        self, options: WebhookOptions, *, env: str, clock: Clock, api_keys: ApiKeys
    ) -> None:
        self._options = options
        self._env = env
        self._guards = Guards(options, env=env, clock=clock, api_keys=api_keys)
        self._sync_timeout_seconds = options.sync_timeout_ms / 1000

    def body_bytes_max(self, route: str) -> int:  # noqa: ARG002 - the same for both
        """Give the largest body taken."""
        return self._options.max_body_bytes

    @property
    def sync_timeout_seconds(self) -> float:
        """Give how long a request may wait for a flow's answer."""
        return self._sync_timeout_seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say what is unsafe: unsigned webhooks, to be heard once at start."""
        return self._guards.warnings(allow_unsigned=self._options.allow_unsigned)

    def handshake(self, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """Answer an OPTIONS request of the CloudEvents handshake; None: no grant."""
        return handshake(
            headers, allowed_origins=self._options.webhook_allowed_origins, env=self._env
        )

    def verify(self, request: InboundRequest) -> str | None:
        """Check the signature (SPEC 12.1); give the key's name, None where none is asked for."""
        if request.route == BATCH_ROUTE:
            return self._guards.verify_batch(request)
        return self._guards.verify_event(request)

    def receive(self, request: InboundRequest, signature: str | None) -> Inbound:
        """Make the events of SPEC 1 of a verified request."""
        kind = check_headers(request.headers)
        if request.route == BATCH_ROUTE:
            return self._receive_batch(request, signature, kind)
        check_own_type(request.event_type)
        guard = self._guards.entry_of(request.event_type)
        if kind is BodyKind.CLOUDEVENT:
            document = parse_document(decode_json_body(request.body))
            return Inbound((self._of_cloudevent(request, signature, document, None),))
        if is_binary_mode(request.headers):
            return Inbound((self._of_binary(request, signature, kind, guard),))
        return self._receive_document(request, signature, _decode(request, kind), guard)

    def answer(self, route: str, reply: Answer | None) -> HttpAnswer | None:  # noqa: ARG002
        """Leave a flow's reply as it is: these senders have no terms of their own."""
        return None

    def _receive_document(
        self, request: InboundRequest, signature: str | None, payload: Any, guard: Guard | None
    ) -> Inbound:
        if guard is None:
            delivery_id = find_delivery_id(request.headers)
        else:
            if guard.algorithm == _SLACK and (answer := answer_challenge(payload)) is not None:
                return Inbound(answer=answer)
            delivery_id = signed_delivery_id(guard.algorithm, request, payload)
        metadata = metadata_of(request, signature, self._guards.headers)
        if delivery_id is not None:
            metadata["delivery_id"] = delivery_id
        event = NormalizedEvent(request.event_type, SOURCE, payload, metadata, delivery_id)
        return Inbound((event,))

    def _of_binary(
        self,
        request: InboundRequest,
        signature: str | None,
        kind: BodyKind,
        guard: Guard | None,
    ) -> NormalizedEvent:
        if kind in {BodyKind.LINES, BodyKind.CLOUDEVENTS}:
            raise refuse_body(request.headers, kind, WANTED)
        cloudevent = parse_binary(request.headers, request.body)
        signed_id = None
        if guard is not None and guard.algorithm in _ID_SIGNED:
            signed_id = signed_delivery_id(guard.algorithm, request, cloudevent.payload)
        return self._of_cloudevent(request, signature, cloudevent, signed_id)

    def _of_cloudevent(
        self,
        request: InboundRequest,
        signature: str | None,
        cloudevent: CloudEvent,
        delivery_id: str | None,
    ) -> NormalizedEvent:
        event_type = self._type_of(cloudevent.text("type"), request.event_type)
        metadata = metadata_of(request, signature, self._guards.headers)
        return event_of_cloudevent(cloudevent, event_type, metadata, delivery_id)

    def _type_of(self, own: str, of_url: str) -> str:
        """Choose the event's type: the CloudEvent's own, which in prod is the URL's (SPEC 6)."""
        if own == of_url:
            return own
        if self._env == PROD_ENV:
            raise InvalidEventError(
                "type", f"{own!r} is not the event type of the URL, and in env prod it must be"
            )
        check_own_type(own)
        if self._guards.entry_of(own) not in {None, self._guards.entry_of(of_url)}:
            raise InvalidEventError("type", f"{own!r} has a signature of its own: post it there")
        return own

    def _receive_batch(
        self, request: InboundRequest, signature: str | None, kind: BodyKind
    ) -> Inbound:
        metadata = metadata_of(request, signature, self._guards.headers)
        reader = BatchReader(metadata, self._refuse_guarded if signature is None else _take_any)
        if kind is BodyKind.LINES:
            return Inbound(reader.read_lines(request.body), is_batch=True)
        if kind is BodyKind.CLOUDEVENTS:
            return Inbound(reader.read_cloudevents(request.body), is_batch=True)
        raise refuse_body(request.headers, kind, _BATCHES_WANTED)

    def _refuse_guarded(self, event_type: str) -> None:
        """Refuse in an unsigned batch what alone would have to be signed."""
        if self._guards.entry_of(event_type) is not None:
            raise InvalidEventError(
                "event_type", f"{event_type!r} must be signed, and this batch is not"
            )


def _take_any(event_type: str) -> None:
    """Take any type: who has the global secret or an API key may publish them all."""


def _decode(request: InboundRequest, kind: BodyKind) -> Any:
    if kind is BodyKind.JSON:
        return decode_json_body(request.body)
    if kind is BodyKind.FORM:
        return decode_form(request.body)
    raise refuse_body(request.headers, kind, WANTED)
