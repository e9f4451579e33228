"""Windows of usage read off a real server: in pages, by the day, over the API."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.bus.acked_publisher import AckedPublisher
from app.bus.server_folder import Endpoint
from app.control import names
from app.history.metering.reading import DAY_MS, UsageSearch
from app.history.metering.records import HOUR_MS
from app.history.metering.usage import Usage
from app.history.metering.windows import UsageWindow, WindowPlace
from tests.support.tenant_api import OTHER, TENANT, TenantRig, a_tenant_rig

pytestmark = pytest.mark.server

DAY = 20_000 * DAY_MS
FLOWS = ("auth/login", "orders")


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[TenantRig]:
    async with a_tenant_rig(nats_server, fresh_env, tmp_path) as rig:
        yield rig


async def keep(rig: TenantRig, places: Sequence[WindowPlace], runs: int = 1) -> None:
    """Store windows as the table does."""
    publisher = await AckedPublisher.start(rig.side.bus, deadline_seconds=10)
    usage = Usage(events=1, runs=runs, completed=runs, duration_ms=10, durations={10: runs})
    data = UsageWindow({0: 1}, usage).encode()
    for place in places:
        subject = names.usage_windows(rig.env, place.as_key())
        last = await publisher.publish_when_room(subject, data, b"")
    await last
    publisher.close()


def windows(tenant: str, hours: Sequence[int]) -> list[WindowPlace]:
    return [WindowPlace(tenant, DAY + hour * HOUR_MS, flow) for hour in hours for flow in FLOWS]


def query(**more: str) -> str:
    asked = {"since": "2024-10-03T00:00:00Z", "until": "2024-10-10T00:00:00Z", **more}
    return "usage/windows?" + "&".join(f"{name}={value}" for name, value in asked.items())


async def test_windows_come_in_pages_in_the_order_of_time(rig: TenantRig) -> None:
    kept = windows(TENANT, [0, 1, 23, 24, 75])
    await keep(rig, kept[::-1])
    await keep(rig, windows(OTHER, [0]))
    search = UsageSearch(DAY, DAY + 7 * DAY_MS)
    found: list[WindowPlace] = []
    after: str | None = ""
    while after is not None:
        page = await rig.desks.usage.page(TENANT, search, after=after, limit=3)
        assert len(page.rows) == 3 or page.next_after is None
        found += [WindowPlace(TENANT, row.start_ms, row.flow or "") for row in page.rows]
        after = page.next_after
    assert found == sorted(kept)


async def test_days_and_tenants_are_sums(rig: TenantRig) -> None:
    await keep(rig, windows(TENANT, [0, 1, 23]), runs=2)
    await keep(rig, windows(TENANT, [24]))
    usage = rig.desks.usage
    by_day = await usage.page(TENANT, UsageSearch(DAY, DAY + 2 * DAY_MS, step="day"))
    assert [(row.start_ms - DAY, row.flow, row.usage.runs) for row in by_day.rows] == [
        (0, "auth/login", 6),
        (0, "orders", 6),
        (DAY_MS, "auth/login", 1),
        (DAY_MS, "orders", 1),
    ]
    total = await usage.page(TENANT, UsageSearch(DAY, DAY + DAY_MS, by="tenant"), limit=2)
    assert [(row.flow, row.usage.runs, row.usage.durations) for row in total.rows] == [
        (None, 4, {10: 4})
    ] * 2
    rest = await usage.page(
        TENANT, UsageSearch(DAY, DAY + DAY_MS, by="tenant"), after=total.next_after or ""
    )
    assert [row.start_ms for row in rest.rows] == [DAY + 23 * HOUR_MS]
    mine = await usage.page(TENANT, UsageSearch(DAY + HOUR_MS + 5, DAY + DAY_MS, "auth/login"))
    assert [row.start_ms - DAY for row in mine.rows] == [HOUR_MS, 23 * HOUR_MS]


async def test_more_windows_than_one_question_finds(rig: TenantRig) -> None:
    kept = [WindowPlace(TENANT, DAY + HOUR_MS, f"f{number}") for number in range(1100)]
    kept += [WindowPlace(TENANT, DAY, f"f{number}") for number in range(20)]
    await keep(rig, kept)
    rows = [row async for row in rig.desks.usage.read(TENANT, UsageSearch(DAY, DAY + DAY_MS))]
    assert [WindowPlace(TENANT, row.start_ms, row.flow or "") for row in rows] == sorted(kept)


async def test_a_window_that_cannot_be_read_is_left_out(rig: TenantRig) -> None:
    [good, bad, gone, _] = windows(TENANT, [0, 1])
    await keep(rig, [good])
    publisher = await AckedPublisher.start(rig.side.bus, deadline_seconds=10)
    for place, data in ((bad, b"{}"), (gone, b"")):
        await publisher.publish(names.usage_windows(rig.env, place.as_key()), data, b"")
    await publisher.publish(names.usage_windows(rig.env, f"{TENANT}.20241004.99.x"), b"{}", b"")
    publisher.close()
    page = await rig.desks.usage.page(TENANT, UsageSearch(DAY, DAY + DAY_MS))
    assert [row.flow for row in page.rows] == [good.flow]
    assert await rig.desks.usage.find(good) is not None
    assert await rig.desks.usage.find(gone) is None


async def test_the_api_gives_json_and_csv(rig: TenantRig) -> None:
    await keep(rig, windows(TENANT, [0, 24]))
    reply = await rig.ask("GET", query(limit="3"), key="reader")
    assert reply.status == 200, reply.json
    first = reply.json["windows"][0]
    assert (first["start"], first["flow"]) == ("2024-10-04T00:00:00Z", "auth/login")
    assert (first["runs"], first["completed"], first["p50_ms"]) == (1, 1, 10.0)
    assert reply.json["relative_error"] == 0.025
    rest = await rig.ask("GET", query(after=reply.json["next_after"]), key="reader")
    assert [row["flow"] for row in rest.json["windows"]] == ["orders"]
    assert rest.json["next_after"] is None
    table = await rig.client.request(
        "GET",
        f"/api/v1/tenants/{TENANT}/usage/windows",
        headers={"authorization": "Bearer reader", "accept": "text/csv"},
        query=query(limit="2").partition("?")[2].encode(),
    )
    headers = {name.decode(): value.decode() for name, value in table.headers}
    assert headers["content-type"] == "text/csv; charset=utf-8"
    lines = table.body.decode().split("\r\n")
    assert lines[0].startswith("tenant,flow,start,events,runs,completed")
    assert lines[1].startswith("acme,auth/login,2024-10-04T00:00:00Z,1,1,1,0")
    assert headers["greentic-next-after"] == f"{DAY}-orders"


@pytest.mark.parametrize(
    ("asked", "key", "status"),
    [
        ("usage/windows", "reader", 200),
        ("usage/windows?step=day&by=tenant", "platform", 200),
        ("usage/windows", "other", 403),
        ("usage/windows", "nobody", 401),
        ("usage/windows?since=never", "reader", 400),
        ("usage/windows?since=500d", "reader", 422),
        ("usage/windows?flow=*", "reader", 422),
        ("usage/windows?after=x", "reader", 422),
        ("usage/windows?step=week", "reader", 400),
        ("usage/windows?limit=0", "reader", 400),
    ],
)
async def test_who_may_ask_for_what(rig: TenantRig, asked: str, key: str, status: int) -> None:
    reply = await rig.ask("GET", asked, key=key)
    assert reply.status == status, reply.json
