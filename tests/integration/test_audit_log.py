"""The audit log on a real server: one entry a change, before the change; nobody takes one back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.subjects import audit_subject
from app.audit.entry import Who, encode_entry
from app.audit.log import AuditLog, AuditLost, Change
from app.audit.reading import AuditFilter, AuditPage, AuditReader, Order
from app.bootstrap.audit_side import AuditSide
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control.limits import StreamLimits
from app.control.names import audit_stream
from app.control.streams import audit_spec
from app.errors import ConflictError
from app.system import SystemClock
from tests.support.bus import connected

pytestmark = pytest.mark.server

ANN = Who("cli:ann@desk", "cli")
ALL = AuditFilter()


class Observed(list[Any]):
    """What was observed."""

    def observe(self, observation: object) -> None:
        self.append(observation)


@dataclass
class Rig:
    """A log with its reader."""

    bus: Bus
    env: str
    log: AuditLog
    reader: AuditReader
    observed: Observed


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    observed = Observed()
    async with connected(nats_server) as bus:
        side = await AuditSide.open(bus, fresh_env, SystemClock(), observed)
        yield Rig(bus, fresh_env, side.log, side.reader, observed)
        await side.close()


async def make(rig: Rig, tenant: str | None, target: str, action: str = "key.add") -> None:
    async with rig.log.change(ANN, Change(action, tenant, target)):
        pass


def targets(page: AuditPage) -> list[str]:
    return [kept.entry.target for kept in page.entries if kept.entry is not None]


async def all_pages(
    rig: Rig, tenant: str | None, order: Order, limit: int, which: AuditFilter = ALL
) -> list[str]:
    found: list[str] = []
    after: int | None = None
    while True:
        page = await rig.reader.page(tenant, which, order=order, after=after, limit=limit)
        found += targets(page)
        if page.next_after is None:
            return found
        after = page.next_after


async def test_entry_is_there_before_its_change(rig: Rig) -> None:
    async with rig.log.change(ANN, Change("key.add", "acme", "k1", None, {"name": "ci"})):
        (kept,) = (await rig.reader.page("acme", ALL)).entries
    assert kept.entry is not None
    assert (kept.entry.actor, kept.entry.source) == ("cli:ann@desk", "cli")
    assert kept.entry.after == {"name": "ci"}
    assert len((await rig.reader.page(None, ALL)).entries) == 1


async def test_change_that_fails_is_told_too(rig: Rig) -> None:
    with pytest.raises(ConflictError):
        async with rig.log.change(ANN, Change("key.rotate", "acme", "k1", 1, 2)):
            raise ConflictError("somebody else was faster")
    newest, oldest = (kept.entry for kept in (await rig.reader.page("acme", ALL)).entries)
    assert newest is not None
    assert oldest is not None
    assert (newest.error, newest.of) == ("store.conflict", oldest.id)
    assert oldest.error is None


async def test_same_entry_again_is_one_entry(rig: Rig) -> None:
    entry = rig.log.entry(ANN, Change("key.add", "acme", "k1"))
    await rig.log.record(entry)
    await rig.log.record(replace(entry, target="k2"))
    assert targets(await rig.reader.page("acme", ALL)) == ["k1"]


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_pages_give_everything_once_in_both_orders(rig: Rig, limit: int) -> None:
    for number in range(40):
        tenant = ("acme", "other", None)[number % 3]
        await make(rig, tenant, f"t{number}", "key.add" if number % 2 else "timer.pause")
    every = [f"t{number}" for number in range(40)]
    ours = every[::3]
    assert await all_pages(rig, None, "oldest", limit) == every
    assert await all_pages(rig, None, "newest", limit) == every[::-1]
    assert await all_pages(rig, "acme", "oldest", limit) == ours
    assert await all_pages(rig, "acme", "newest", limit) == ours[::-1]
    assert (
        await all_pages(rig, None, "newest", limit, AuditFilter(action="key")) == every[1::2][::-1]
    )
    assert await all_pages(rig, "nobody", "newest", limit) == []


async def test_illegible_and_misplaced_messages_are_shown_as_such(rig: Rig) -> None:
    entry = rig.log.entry(ANN, Change("key.add", "other", "theirs"))
    publisher = await AckedPublisher.start(rig.bus)
    subject = audit_subject(rig.env, "acme", "key.add")
    for data in (b"noise", encode_entry(entry)):
        await publisher.publish(subject, data, b"")
    publisher.close()
    page = await rig.reader.page("acme", AuditFilter(actor="nobody"))
    assert [kept.as_document()["illegible"] for kept in page.entries] == [True, True]
    assert "theirs" not in repr(page)


async def test_server_lets_nobody_delete_or_purge(rig: Rig) -> None:
    await make(rig, "acme", "k1")
    admin = JetStreamAdmin(rig.bus)
    stream = audit_stream(rig.env)
    assert not await admin.delete_message(stream, 1)
    reply = await rig.bus.request(f"$JS.API.STREAM.PURGE.{stream}", b"", timeout_seconds=5)
    assert b'"error"' in reply.data
    assert targets(await rig.reader.page("acme", ALL)) == ["k1"]


async def test_log_of_an_earlier_version_is_closed_too(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with connected(nats_server) as bus:
        admin = JetStreamAdmin(bus)
        spec = audit_spec(fresh_env, StreamLimits())
        await admin.ensure_stream(replace(spec, denies_delete=False, denies_purge=False))
        config = (await admin.ensure_stream(spec)).config
        assert (config["deny_delete"], config["deny_purge"]) == (True, True)


async def test_change_that_cannot_be_written_down_is_not_begun(rig: Rig) -> None:
    await JetStreamAdmin(rig.bus).delete_stream(audit_stream(rig.env))
    publisher = await AckedPublisher.start(rig.bus, deadline_seconds=0.3)
    log = AuditLog(publisher, SystemClock(), rig.observed, env=rig.env)
    with pytest.raises(UnavailableError, match="nothing was changed"):
        async with log.change(ANN, Change("key.add", "acme", "k1")):
            raise AssertionError("it was begun")
    assert rig.observed == []
    begun = False
    async with log.change(ANN, Change("key.revoke", "acme", "k1"), is_urgent=True):
        begun = True
    assert begun
    log.tell(Change("deployment.apply", None, "r1"))
    await log.close()
    lost = [each.action for each in rig.observed if isinstance(each, AuditLost)]
    assert lost == ["key.revoke", "deployment.apply"]
    publisher.close()
