"""The API of events, below ``/api/v1/tenants/{tenant}/events``.

    POST …                  {"event_type", "payload", "source", "metadata", "id"}: 202, once stored
    GET  …                  events without payloads by type, since, until; order, after, limit
    GET  …/{event}          one event whole, by its id or as @SEQUENCE
    POST …/{event}/resend   202: a new event like it, marked as a test

In: ``tenant-publish`` to publish, ``tenant-read`` to look, ``tenant-operator`` to send again. Out:
JSON. Refuses types and sources that belong to a provider (422), a tenant that takes no events and
events that cannot be found (404), what goes beyond the tenant's quota (429).
"""

from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field

from actors.events import EVENT_ID_CHARS_MAX, EVENT_TYPE_BYTES_MAX, SOURCE_CHARS_MAX
from actors.ports import Clock, PublishAck
from app.bus.codec import EVENT_BYTES_MAX
from app.control.event_desk import (
    PAGE_DEFAULT,
    PAGE_MAX,
    PLACE_MAX,
    SOURCE,
    EventDesk,
    NewEvent,
    Order,
)
from app.control.kept_events import EventFilter
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import BodyModel, PageView, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.http.api_times import TimesQuery
from app.identity.scopes import TENANT_OPERATOR, TENANT_PUBLISH, TENANT_READ

ROOT: Final = "/tenants/{tenant}/events"
ONE: Final = ROOT + "/{event:path}"
BODY_BYTES_MAX: Final = EVENT_BYTES_MAX + 64 * 1024


class EventQuery(TimesQuery):
    """Which events are wanted."""

    event_type: Annotated[str, Field(min_length=1, max_length=EVENT_TYPE_BYTES_MAX)] = ">"
    """A type, or a pattern: ``order.*`` for two tokens, ``order.>`` for all that begin so."""
    order: Order = "newest"
    after: Annotated[int, Field(ge=0, le=PLACE_MAX)] | None = None
    """The former page's ``next_after``, in the same order."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT


class EventWanted(BodyModel):
    """An event to be published."""

    event_type: Annotated[str, Field(min_length=1, max_length=EVENT_TYPE_BYTES_MAX)]
    payload: Any
    """Any JSON value; null must be spelled out."""
    source: Annotated[str, Field(min_length=1, max_length=SOURCE_CHARS_MAX)] = SOURCE
    """Who produced it."""
    metadata: dict[str, Any] | None = None
    id: Annotated[str, Field(min_length=1, max_length=EVENT_ID_CHARS_MAX)] | None = None
    """Its own id: the same one again is no second event. Without it, it gets one."""


class EventAccepted(ViewModel):
    """A stored event."""

    event_id: str
    """Of a repeat, the first one's."""
    sequence: int
    """Its place in the tenant's stream."""
    duplicate: bool
    """It was there before, and was not stored again."""

    @classmethod
    def of(cls, ack: PublishAck) -> "EventAccepted":
        """Show an acknowledgement."""
        return cls(event_id=ack.event_id, sequence=ack.sequence, duplicate=ack.is_duplicate)


class EventView(ViewModel):
    """An event where it is kept, without its payload."""

    sequence: int
    id: str | None
    """Null: it is damaged."""
    event_type: str
    source: str | None = None
    timestamp: int | None = None
    """When it was accepted, in milliseconds since the epoch."""
    stored_ms: int
    bytes: int
    hops: int
    """How many emitting nodes led to it."""
    causation_id: str | None = None
    """The event that caused it, where it says so."""
    test: bool = False
    """It was sent again by hand."""
    damage: str | None = None


class EventWhole(EventView):
    """An event with all that it carries."""

    payload: Any = None
    metadata: dict[str, Any] | None = None


class EventPageView(PageView):
    """Events in the order asked for. A page may be short, even empty, and have a next one."""

    events: list[EventView]


class EventApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: EventDesk, access: ApiAccess, clock: Clock) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock

    def resource(self) -> Resource:
        """Give the operations."""
        events = Resource("events", self._access)
        publishing = Operation(TENANT_PUBLISH, status=202, body_bytes_max=BODY_BYTES_MAX)
        events.add("POST", ROOT, self.publish, publishing)
        events.add("GET", ROOT, self.list, Operation(TENANT_READ))
        events.add("GET", ONE, self.show, Operation(TENANT_READ))
        events.add("POST", f"{ONE}/resend", self.resend, Operation(TENANT_OPERATOR, status=202))
        return events

    async def publish(self, tenant: Tenant, wanted: EventWanted) -> EventAccepted:
        """Publish an event, with the quotas of webhooks. It is stored once this is answered."""
        new = NewEvent(wanted.event_type, wanted.payload, wanted.source, wanted.metadata, wanted.id)
        return EventAccepted.of(await self._desk.publish(tenant, new))

    async def list(self, tenant: Tenant, asked: Annotated[EventQuery, Query()]) -> EventPageView:
        """Give a page of events; results are none."""
        since_ms, until_ms = asked.between(self._clock.now_ms())
        page = await self._desk.list(
            tenant,
            EventFilter(asked.event_type, since_ms, until_ms),
            order=asked.order,
            after=asked.after,
            limit=asked.limit,
        )
        events = [EventView(**kept.as_summary()) for kept in page.events]
        return EventPageView(events=events, next_after=page.next_after)

    async def show(self, tenant: Tenant, event: str) -> EventWhole:
        """Give one event, payload and all, by its id or as ``@SEQUENCE``."""
        return EventWhole(**(await self._desk.show(tenant, event)).as_document())

    async def resend(self, caller: Caller, tenant: Tenant, event: str) -> EventAccepted:
        """Publish an event again as a new one, marked as a test that the old one caused."""
        return EventAccepted.of(await self._desk.resend(who_of(caller), tenant, event))
