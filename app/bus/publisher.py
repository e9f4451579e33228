"""Events onto the bus: the adapter behind `EventPublisher` (STYLE 3, step 4).

In: an envelope. Out: a future of the acknowledgement; for a repeated message id it names the event
that the stream already has. Refuses an event that cannot be written, or is too large, with
InvalidEventError, and what a tenant over its quota sends (`app.bus.backlog`,
`app.bus.rates`). Everything else that
goes wrong is UnavailableError: nothing is known to be stored, and the caller may send the same
envelope again.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from actors.errors import ActorsError, InvalidEventError, UnavailableError
from actors.ports import Envelope, PublishAck
from actors.quotas.quota import Quotas
from actors.subjects import build_event_subject
from app.bus.acked_publisher import RETRY_AFTER_SECONDS, AckedPublisher, Outcome, PubAck
from app.bus.backlog import BacklogQuota
from app.bus.codec import decode_json, encode_event
from app.bus.connection import Bus
from app.bus.headers import (
    EVENT_ID,
    HOPS,
    JSON_CONTENT,
    MESSAGE_ID,
    REPLY,
    TRACEPARENT,
    checked_traceparent,
)
from app.bus.leader import read_at
from app.bus.rates import enter_event
from app.bus.storing import as_unavailable
from app.bus.wire import build_headers

LOOKUP_TIMEOUT_SECONDS: Final = 2.0
LOOKUPS_MAX: Final = 1024
"""Duplicates whose first event is being looked up; more of them are told to come again."""
_NOT_FOUND: Final = "404"


class JetStreamEventPublisher:
    """Publishes the events of one env, of any tenant, within their quotas if there are any."""

    def __init__(
        self,
        publisher: AckedPublisher,
        *,
        env: str,
        quota: BacklogQuota | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._publisher = publisher
        self._quota = quota
        self._quotas = quotas
        self._env = env
        self._loop = asyncio.get_running_loop()
        self._lookups: set[asyncio.Task[None]] = set()

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        """Send at once and give a future of the acknowledgement; see `EventPublisher`."""
        future: asyncio.Future[PublishAck] = self._loop.create_future()
        quota = self._quota
        try:
            room = None if quota is None else quota.enter(envelope)
            subject = build_event_subject(self._env, envelope.tenant, envelope.event.event_type)
            data = encode_event(envelope.event)
            headers = _event_headers(envelope)
            if self._quotas is not None:
                enter_event(self._quotas, envelope)
        except ActorsError as error:
            future.set_exception(error)
            return future

        def settle(outcome: Outcome) -> None:
            self._settle(future, envelope, outcome)

        if room is not None:
            room.take(len(data))
        self._publisher.publish_then(subject, data, headers, settle)
        return future

    def _settle(
        self, future: "asyncio.Future[PublishAck]", envelope: Envelope, outcome: Outcome
    ) -> None:
        if future.done():
            return
        if not isinstance(outcome, PubAck):
            future.set_exception(as_unavailable(outcome))
        elif outcome.duplicate and len(self._lookups) >= LOOKUPS_MAX:
            future.set_exception(
                UnavailableError(
                    "too many duplicates at once", retry_after_seconds=RETRY_AFTER_SECONDS
                )
            )
        elif outcome.duplicate:
            task = self._loop.create_task(self._settle_duplicate(future, envelope, outcome))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
        else:
            future.set_result(PublishAck(envelope.event.id, outcome.sequence))

    async def _settle_duplicate(
        self, future: "asyncio.Future[PublishAck]", envelope: Envelope, ack: PubAck
    ) -> None:
        try:
            first_id = await read_event_id(self._publisher.bus, ack.stream, ack.sequence)
        except UnavailableError as error:
            if not future.done():
                future.set_exception(error)
            return
        event_id = envelope.event.id if first_id is None else first_id
        # A duplicate of our own earlier send, whose acknowledgement was lost, is no duplicate.
        is_own = ack.sends > 1 and event_id == envelope.event.id
        if not future.done():
            future.set_result(PublishAck(event_id, ack.sequence, is_duplicate=not is_own))


async def read_event_id(bus: Bus, stream: str, sequence: int) -> str | None:
    """Give the id of a stored event; None when it is stored no more, or was no event."""
    question = msgspec.json.encode({"seq": sequence})
    answer = await bus.request(
        f"$JS.API.DIRECT.GET.{stream}", question, timeout_seconds=LOOKUP_TIMEOUT_SECONDS
    )
    headers: Mapping[str, str] = answer.headers or {}
    status = headers.get("Status")
    if status is None:
        return _event_id(headers, answer.data)
    if status != _NOT_FOUND:
        raise UnavailableError(
            "the stream does not tell which event it has",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if bus.lone_server is not None:
        return None
    stored = await read_at(bus, stream, sequence)  # a replica may not have it yet
    return None if stored is None else _event_id(stored.headers, stored.data)


def _event_id(headers: Mapping[str, str], data: bytes) -> str | None:
    if EVENT_ID in headers:
        return headers[EVENT_ID]
    try:
        document = decode_json(data, "event")
    except InvalidEventError:
        return None
    event_id = document.get("id") if isinstance(document, dict) else None
    return event_id if isinstance(event_id, str) else None


def _event_headers(envelope: Envelope) -> bytes:
    pairs = [
        (MESSAGE_ID, envelope.message_id),
        (EVENT_ID, envelope.event.id),
        JSON_CONTENT,
    ]
    if envelope.reply_to is not None:
        pairs.append((REPLY, envelope.reply_to))
    if envelope.hops:
        pairs.append((HOPS, str(envelope.hops)))
    traceparent = checked_traceparent(envelope.event.metadata)
    if traceparent is not None:
        pairs.append((TRACEPARENT, traceparent))
    try:
        return build_headers(pairs)
    except ValueError as error:
        raise InvalidEventError("id", f"cannot be sent: {error}") from None
