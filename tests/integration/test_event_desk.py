"""The desk of events on a real server: published, found, listed, sent again, each its tenant's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from actors.errors import InvalidEventError, InvalidSubjectError
from actors.events import Event
from actors.ports import Envelope
from app.audit.entry import Who
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bus.admin import JetStreamAdmin
from app.bus.direct import DirectReader
from app.bus.server_folder import Endpoint
from app.control import event_desk, streams
from app.control.event_desk import EventDesk, EventPorts, NewEvent
from app.control.kept_events import EventFilter
from app.control.limits import StreamLimits
from app.errors import NotFoundError, TenantNotFoundError
from app.system import SystemClock, UlidIds
from tests.support.bus import DeafObserver
from tests.support.bus_rig import TENANT, BusRig, a_rig

pytestmark = pytest.mark.server

WHO = Who("key:12345678", "api")
OTHER = "other"


@dataclass
class Scene:
    rig: BusRig
    desk: EventDesk
    audit: AuditSide

    async def publish(self, event_type: str = "order.created", **fields: Any) -> str:
        new = NewEvent(event_type, fields.pop("payload", {"n": 1}), **fields)
        return (await self.desk.publish(TENANT, new)).event_id

    async def put(self, event: Event, tenant: str = TENANT) -> None:
        await self.rig.publisher.publish(Envelope(tenant, event, event.id))

    async def ids(self, **which: Any) -> list[str | None]:
        order = which.pop("order", "newest")
        page = await self.desk.list(TENANT, EventFilter(**which), order=order)
        return [kept.as_summary()["id"] for kept in page.events]


@pytest.fixture
async def scene(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Scene]:
    async with a_rig(nats_server, fresh_env) as rig:
        spec = streams.events_spec(fresh_env, OTHER, StreamLimits())
        await JetStreamAdmin(rig.bus).ensure_stream(spec)
        audit = await AuditSide.open(rig.bus, fresh_env, SystemClock(), DeafObserver())
        reader = await DirectReader.start(rig.bus)
        clock, ids = SystemClock(), UlidIds()
        ports = EventPorts(reader, rig.publisher, audit.log, clock, ids, lambda one: one == TENANT)
        yield Scene(rig, EventDesk(ports, env=fresh_env), audit)
        await audit.close()
        await reader.close()


async def test_an_event_is_published_once_and_found_by_id_and_by_place(scene: Scene) -> None:
    ack = await scene.desk.publish(TENANT, NewEvent("order.created", {"big": 2**60 + 1}))
    again = NewEvent("order.created", {"n": 2}, id=ack.event_id)
    second = await scene.desk.publish(TENANT, again)
    assert (second.event_id, second.sequence, second.is_duplicate) == (ack.event_id, 1, True)
    for name in (ack.event_id, f"@{ack.sequence}"):
        kept = await scene.desk.show(TENANT, name)
        document = kept.as_document()
        assert document["payload"] == {"big": 2**60 + 1}
        assert (document["source"], document["metadata"]) == ("api", {"provider": "api"})


async def test_an_id_of_somebody_elses_making_is_found_too(scene: Scene) -> None:
    await scene.publish(id="inv-7:2026/1")
    for _ in range(3):
        await scene.publish()
    assert (await scene.desk.show(TENANT, "inv-7:2026/1")).sequence == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event_type": "timer.x.1"}, "event_type"),
        ({"event_type": "email.received"}, "event_type"),
        ({"event_type": "twilio.sms.incoming"}, "event_type"),
        ({"event_type": "order.result"}, "event_type"),
        ({"event_type": "Order"}, "event_type"),
        ({"source": "timer"}, "source"),
        ({"source": "flow:orders"}, "source"),
        ({"source": ""}, "source"),
        ({"metadata": {"signature": "github"}}, "metadata"),
        ({"metadata": {"test": True}}, "metadata"),
        ({"id": "a b"}, "id"),
        ({"id": "@5"}, "id"),
        ({"id": "0" * 30}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"payload": float("nan")}, "payload"),
        ({"payload": "x" * 800_000}, "event"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
async def test_what_only_others_may_say_is_refused(
    scene: Scene, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidEventError) as refused:
        await scene.publish(**{"event_type": "order.created", **fields})
    assert str(refused.value).startswith(field)
    assert await scene.ids() == []


async def test_neither_a_result_nor_another_tenants_event_is_ever_shown(scene: Scene) -> None:
    theirs = Event("theirs", "order.created", "webhook", 1, {"secret": 1})
    await scene.put(theirs, OTHER)
    subject = f"greentic.events.{scene.rig.env}.{TENANT}.order.created.result"
    await scene.rig.acked.publish(subject, b'{"id":"theirs","event_id":"e1"}', b"")
    for name in ("theirs", "@1", "@2", "@0", "@-1", "@", "@" + "9" * 40, "no/../such"):
        with pytest.raises(NotFoundError):
            await scene.desk.show(TENANT, name)
    assert await scene.ids() == []
    assert (await scene.desk.show(OTHER, "theirs")).sequence == 1


async def test_a_tenant_that_is_not_served_takes_nothing_and_is_still_looked_at(
    scene: Scene,
) -> None:
    await scene.put(Event("theirs", "order.created", "webhook", 1, 1), OTHER)
    with pytest.raises(TenantNotFoundError):
        await scene.desk.publish(OTHER, NewEvent("order.created", 1))
    with pytest.raises(TenantNotFoundError):
        await scene.desk.resend(WHO, OTHER, "theirs")
    page = await scene.desk.list(OTHER, EventFilter())
    assert [kept.sequence for kept in page.events] == [1]


async def test_a_tenant_that_is_not_there_takes_nothing(scene: Scene) -> None:
    with pytest.raises(TenantNotFoundError):
        await scene.desk.publish("nobody", NewEvent("order.created", 1))
    with pytest.raises(TenantNotFoundError):
        await scene.desk.list("nobody", EventFilter())
    with pytest.raises(InvalidSubjectError):
        await scene.desk.list("no.body", EventFilter())


async def test_pages_go_through_all_of_a_type_in_both_orders(scene: Scene) -> None:
    made = [await scene.publish(f"t{n % 2}.a", payload=n) for n in range(9)]
    await scene.put(Event("odd", "t0.a", "webhook", 1, None))
    even = [*made[::2], "odd"]
    for order, wanted in (("newest", even[::-1]), ("oldest", even)):
        seen, after = [], None
        while True:
            page = await scene.desk.list(
                TENANT, EventFilter("t0.*"), order=order, after=after, limit=2  # type: ignore[arg-type]
            )  # fmt: skip
            seen += [kept.as_summary()["id"] for kept in page.events]
            after = page.next_after
            if after is None:
                break
        assert seen == wanted
    assert await scene.ids(pattern="t1.a") == made[1::2][::-1]
    assert len(await scene.ids()) == 10
    with pytest.raises(InvalidSubjectError):
        await scene.ids(pattern="order.result")


async def test_times_bound_a_listing(scene: Scene) -> None:
    first = await scene.publish()
    await asyncio.sleep(0.02)
    between = SystemClock().now_ms()
    second = await scene.publish()
    for order in ("newest", "oldest"):
        assert await scene.ids(since_ms=between, order=order) == [second]
        assert await scene.ids(until_ms=between, order=order) == [first]
        assert await scene.ids(since_ms=between + 60_000, order=order) == []


async def test_a_listing_ends_early_and_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_desk, "LOOKED_AT_MAX", 2)
    made = [await scene.publish() for _ in range(3)]
    page = await scene.desk.list(TENANT, EventFilter(), limit=3)
    assert ([kept.sequence for kept in page.events], page.next_after) == ([3, 2], 2)
    page = await scene.desk.list(TENANT, EventFilter(), limit=3, after=2)
    assert [kept.event and kept.event.id for kept in page.events] == made[:1]


async def test_what_is_no_event_is_shown_as_damaged(scene: Scene) -> None:
    prefix = f"greentic.events.{scene.rig.env}.{TENANT}."
    await scene.rig.acked.publish(prefix + "a.b", b"no json", b"")
    lying = b'{"id":"x","event_type":"c.d","source":"s","timestamp":1,"payload":null}'
    await scene.rig.acked.publish(prefix + "a.b", lying, b"")
    page = await scene.desk.list(TENANT, EventFilter())
    assert [kept.damage is not None for kept in page.events] == [True, True]
    assert (await scene.desk.show(TENANT, "@2")).event is None
    with pytest.raises(InvalidEventError):
        await scene.desk.resend(WHO, TENANT, "@1")


async def test_an_event_is_sent_again_as_a_test_and_that_is_written_down(scene: Scene) -> None:
    metadata = {"headers": {"x-a": "1"}, "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    old = await scene.publish(payload={"n": 7}, metadata=metadata, source="erp")
    ack = await scene.desk.resend(WHO, TENANT, old)
    assert ack.event_id != old
    document = (await scene.desk.show(TENANT, ack.event_id)).as_document()
    assert (document["payload"], document["source"], document["test"]) == ({"n": 7}, "erp", True)
    assert document["metadata"] == {
        "headers": {"x-a": "1"}, "provider": "api", "causation_id": old, "test": True,
    }  # fmt: skip
    page = await scene.audit.reader.page(TENANT, AuditFilter(action="event.resend"))
    entry = page.entries[0].entry
    assert entry is not None
    assert (entry.target, entry.after["event_id"]) == (old, ack.event_id)


async def test_a_tick_is_not_sent_again(scene: Scene) -> None:
    await scene.put(Event("t1", "timer.pulse.1", "timer", 1, {"scheduled_ms": 1}))
    with pytest.raises(InvalidEventError, match="run the timer"):
        await scene.desk.resend(WHO, TENANT, "t1")
