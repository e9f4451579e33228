"""The desk of a tenant's events: publish one, look at those there are, send one again as a test.

In: a tenant; an event, an id or a place, a filter. Out: acknowledgements, events, pages. Refuses
types that belong to a provider (InvalidEventError), a tenant without a stream
(TenantNotFoundError), an event that cannot be found (NotFoundError), what a tenant over its quota
publishes (QuotaExceededError); UnavailableError when NATS does not answer.

A stream knows its messages by their places, not by the ids in them. An id of ours tells when its
event came, and so where to look; any other is looked for among the newest ones.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from actors.errors import InvalidEventError
from actors.events import EVENT_ID_CHARS_MAX, SOURCE_CHARS_MAX, Event
from actors.ids import ulid_time_ms
from actors.ports import Clock, Envelope, EventPublisher, Ids, PublishAck
from actors.subjects import check_pattern, check_token, tenant_events
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.bus.admin import JetStreamAdmin
from app.bus.direct import DirectReader, StoredMessage
from app.bus.leader import read_at
from app.bus.looking_back import StreamWalk
from app.control.kept_events import (
    SEQUENCE_MARK,
    EventFilter,
    EventPage,
    KeptEvent,
    event_id_of,
    is_event,
    keep_head,
    keep_whole,
    stored_ms_of,
)
from app.control.looking import Looking
from app.control.names import events_stream
from app.errors import NotFoundError, TenantNotFoundError
from app.providers.webhook.events import check_own_type

SOURCE: Final = "api"
PROVIDER: Final = "api"
PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100
PLACE_MAX: Final = 10**18 - 1
LOOKED_AT_MAX: Final = 10_000
"""Messages that one page, or one search, looks through; results among them."""
LOOKED_BYTES_MAX: Final = 64 * 1024 * 1024
EARLY_MS: Final = 2000
"""An event may be stored so long before the time in its id: clocks differ."""

OURS: Final = frozenset({"provider", "signature", "delivery_id", "causation_id", "test"})
"""Metadata that says what we know, and nobody may claim."""
_TAKEN_SOURCES: Final = frozenset({"webhook", "timer", "email", "sms"})
_FLOW_SOURCE: Final = "flow:"
_TIMER_PREFIX: Final = "timer."
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_PLACE: Final = re.compile(r"[1-9][0-9]{0,17}")
_MADE_ID: Final = re.compile(r"[0-9a-f]{30}")
"""Ids of runs and deliveries, which stand in the same window of duplicates."""

Order = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be published. ``id`` None: it gets one."""

    event_type: str
    payload: Any
    source: str = SOURCE
    metadata: Mapping[str, Any] | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class EventPorts:
    """What the desk needs of the world."""

    reader: DirectReader
    publisher: EventPublisher
    audit: AuditLog
    clock: Clock
    ids: Ids
    is_served: Callable[[str], bool]
    """Whether a tenant's events are taken in at present: not so those of a suspended one."""


class EventDesk:
    """The events of one env; every question names the tenant."""

    def __init__(self, ports: EventPorts, *, env: str) -> None:
        self._ports = ports
        self._admin = JetStreamAdmin(ports.reader.bus)
        self._env = check_token(env, "env")
        self._looking = Looking()

    # ── Publishing ───────────────────────────────────────────────────────────────────────────

    async def publish(self, tenant: str, new: NewEvent) -> PublishAck:
        """Store an event; the same id again within the window of duplicates is no second one."""
        self._check_served(tenant)
        _check_new(new)
        event = Event(
            id=new.id or self._ports.ids.event_id(),
            event_type=new.event_type,
            source=new.source,
            timestamp=self._ports.clock.now_ms(),
            payload=new.payload,
            metadata={**(new.metadata or {}), "provider": PROVIDER},
        )
        return await self._ports.publisher.publish(Envelope(tenant, event, event.id))

    async def resend(self, who: Who, tenant: str, name: str) -> PublishAck:
        """Publish an event again as a new one, marked as a test that the old one caused.

        Nothing that was done for the old one counts for it: its runs are runs of their own.
        """
        self._check_served(tenant)
        kept = await self.show(tenant, name)
        old = kept.event
        if old is None:
            raise InvalidEventError("event", f"cannot be sent again: {kept.damage}")
        if old.event_type.startswith(_TIMER_PREFIX):
            # The last tick in the stream is the record of the timer's last firing.
            raise InvalidEventError("event_type", "is a timer's: run the timer instead")
        metadata = dict(old.metadata or {})
        metadata.pop("traceparent", None)
        event = Event(
            id=self._ports.ids.event_id(),
            event_type=old.event_type,
            source=old.source,
            timestamp=self._ports.clock.now_ms(),
            payload=old.payload,
            metadata={**metadata, "causation_id": old.id, "test": True},
        )
        after = {"event_id": event.id, "event_type": event.event_type}
        change = Change("event.resend", tenant, old.id, None, after)
        async with self._ports.audit.change(who, change):
            return await self._ports.publisher.publish(Envelope(tenant, event, event.id))

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    async def show(self, tenant: str, name: str) -> KeptEvent:
        """Give one event by its id, or by its place as ``@SEQUENCE``. NotFoundError."""
        last = await self._last_sequence(tenant)
        if name.startswith(SEQUENCE_MARK):
            message = await self._at(tenant, name[len(SEQUENCE_MARK) :])
        else:
            async with self._looking.turn(tenant):
                message = await self._search(tenant, name, last)
        if message is None:
            raise NotFoundError(f"tenant {tenant} has no event {name[:128]!r} that can be found")
        return keep_whole(message)

    async def list(
        self,
        tenant: str,
        which: EventFilter,
        *,
        order: Order = "newest",
        after: int | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> EventPage:
        """Give a page; ``after`` is the last page's ``next_after``, in the same order.

        A page may be short, even empty, and still have a next one: it looked through
        `LOOKED_AT_MAX` messages, results included. ``limit`` is 1 to `PAGE_MAX`.
        """
        check_pattern(which.pattern)
        last = await self._last_sequence(tenant)
        found: list[KeptEvent] = []
        looked_at, looked_bytes = 0, 0
        async with self._looking.turn(tenant):
            async for message in self._walk(tenant, which, order, after, last):
                looked_at += 1
                looked_bytes += len(message.data)
                if is_event(message, self._env, tenant):
                    if len(found) == limit:
                        return EventPage(found, found[-1].sequence)
                    found.append(keep_head(message))
                if looked_at >= LOOKED_AT_MAX or looked_bytes >= LOOKED_BYTES_MAX:
                    return EventPage(found, message.sequence)
        return EventPage(found, None)

    # ── In the stream ────────────────────────────────────────────────────────────────────────

    async def _walk(
        self, tenant: str, which: EventFilter, order: Order, after: int | None, last: int
    ) -> AsyncIterator[StoredMessage]:
        """Give the messages between the filter's times, in order, from a place on."""
        walk = self._stream(tenant, which.pattern)
        if order == "newest":
            before = min(last + 1 if after is None else after, last + 1)
            if which.until_ms is not None:
                before = min(before, await walk.place_of_time(which.until_ms) or before)
            steps = walk.newest_first(before)
        else:
            place = after or 0
            if which.since_ms is not None:
                first = await walk.place_of_time(which.since_ms)
                if first is None:
                    return
                place = max(place, first - 1)
            steps = walk.oldest_first(place)
        async for messages in steps:
            for message in messages:
                if _is_beyond(message, which, order):
                    return
                yield message
            await asyncio.sleep(0)

    async def _search(self, tenant: str, event_id: str, last: int) -> StoredMessage | None:
        """Look for an event by its id: from the time in it on, else among the newest."""
        walk = self._stream(tenant, ">")
        time_ms = ulid_time_ms(event_id)
        if time_ms is not None:
            place = await walk.place_of_time(max(0, time_ms - EARLY_MS))
            if place is not None:
                found = await self._find(walk.oldest_first(place - 1), tenant, event_id)
                if found is not None:
                    return found
        return await self._find(walk.newest_first(last + 1), tenant, event_id)

    async def _find(
        self, steps: AsyncIterator[Sequence[StoredMessage]], tenant: str, event_id: str
    ) -> StoredMessage | None:
        looked_at, looked_bytes = 0, 0
        async for messages in steps:
            for message in messages:
                if is_event(message, self._env, tenant) and event_id_of(message) == event_id:
                    return message
            looked_at += len(messages)
            looked_bytes += sum(len(message.data) for message in messages)
            if looked_at >= LOOKED_AT_MAX or looked_bytes >= LOOKED_BYTES_MAX:
                return None
            await asyncio.sleep(0)
        return None

    async def _at(self, tenant: str, place: str) -> StoredMessage | None:
        if not _PLACE.fullmatch(place):
            return None
        sequence = int(place)
        message = await self._stream(tenant, ">").at(sequence)
        bus = self._ports.reader.bus
        if message is None and bus.lone_server is None:
            # A replica may not have it yet.
            message = await read_at(bus, events_stream(self._env, tenant), sequence)
        return message if message and is_event(message, self._env, tenant) else None

    def _check_served(self, tenant: str) -> None:
        if not self._ports.is_served(check_token(tenant, "tenant")):
            raise TenantNotFoundError(f"no events of a tenant {tenant} are taken in here")

    async def _last_sequence(self, tenant: str) -> int:
        info = await self._admin.stream_info(events_stream(self._env, tenant))
        if info is None:
            raise TenantNotFoundError(f"there are no events of a tenant {tenant}")
        return info.last_sequence

    def _stream(self, tenant: str, pattern: str) -> StreamWalk:
        all_of_it = tenant_events(self._env, tenant)
        subject = all_of_it if pattern == ">" else f"{all_of_it.removesuffix('>')}{pattern}"
        return StreamWalk(self._ports.reader, events_stream(self._env, tenant), subject)


def _check_new(new: NewEvent) -> None:
    """Refuse what only somebody else may say: a provider's type or source, our own metadata."""
    check_own_type(new.event_type)
    source = new.source
    if not 0 < len(source) <= SOURCE_CHARS_MAX or not source.isprintable():
        raise InvalidEventError("source", f"must have 1 to {SOURCE_CHARS_MAX} printable characters")
    if source in _TAKEN_SOURCES or source.startswith(_FLOW_SOURCE):
        raise InvalidEventError("source", f"{source[:80]!r} is not yours to be")
    claimed = sorted(OURS & (new.metadata or {}).keys())
    if claimed:
        raise InvalidEventError("metadata", f"{claimed[0]!r} is said by us alone")
    if new.id is None:
        return
    if len(new.id) > EVENT_ID_CHARS_MAX or not _GIVEN_ID.fullmatch(new.id):
        text = f"must be up to {EVENT_ID_CHARS_MAX} letters, digits and . _ : / -"
        raise InvalidEventError("id", text)
    if _MADE_ID.fullmatch(new.id):
        raise InvalidEventError("id", "looks like one of ours: thirty hexadecimal digits")


def _is_beyond(message: StoredMessage, which: EventFilter, order: Order) -> bool:
    """Tell whether this and all further messages lie outside the filter's times."""
    stored_ms = stored_ms_of(message)
    if order == "newest":
        return which.since_ms is not None and stored_ms < which.since_ms
    return which.until_ms is not None and stored_ms >= which.until_ms
