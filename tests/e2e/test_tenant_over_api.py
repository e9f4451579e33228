"""A tenant's day over the API alone, on a running program: publish, watch, cancel, fire, look."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.ids import run_id as run_id_of
from app.bus.login_trial import takes_login
from tests.support.api_estate import OWN, Estate, an_estate
from tests.support.programs import nats_credentials

PATIENCE_SECONDS = 20.0


class Desk:
    """Asks with one key."""

    def __init__(self, client: httpx.AsyncClient, estate: Estate, key: str, tenant: str) -> None:
        self._client = client
        self._root = f"{estate.url}/tenants/{tenant}"
        self._headers = estate.keys[key].headers

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self._client.request(
            method, f"{self._root}/{path}", headers=self._headers, **more
        )
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json() if answer.content else None

    async def status(self, method: str, path: str, **more: Any) -> int:
        answer = await self._client.request(
            method, f"{self._root}/{path}", headers=self._headers, **more
        )
        return answer.status_code

    async def until(self, path: str, fits: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.ask("GET", path)
                if fits(found):
                    return found
                await asyncio.sleep(0.1)


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[tuple[Desk, Desk]]:
    """One with the tenant's own key, one with the platform's."""
    async with (
        an_estate(tmp_path) as estate,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        yield (
            Desk(client, estate, "own-tenant-admin", OWN),
            Desk(client, estate, "platform-admin", OWN),
        )


async def test_a_tenants_day_over_the_api(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    desk, platform = desks
    # What is published runs, and its run is found with its result.
    wanted = {"event_type": "greet.asked", "payload": {"name": "Ada"}, "id": "ada-1"}
    accepted = await desk.ask("POST", "events", 202, json=wanted)
    assert (accepted["event_id"], accepted["duplicate"]) == ("ada-1", False)
    assert (await desk.ask("POST", "events", 202, json=wanted))["duplicate"] is True
    [run] = (await desk.until("runs?event_id=ada-1", lambda page: page["runs"]))["runs"]
    assert (run["flow"], run["status"]) == ("hello", "completed")
    result = await desk.ask("GET", f"runs/{run['run_id']}/result")
    assert result["output"] == "hi Ada"
    shown = await desk.ask("GET", f"runs/{run['run_id']}")
    assert (shown["state"], shown["record"]["path"]) == ("ended", ["one"])

    # Sent again as a test it is an event and a run of its own.
    again = await desk.ask("POST", "events/ada-1/resend", 202)
    [second] = (await desk.until(f"runs?event_id={again['event_id']}", lambda p: p["runs"]))["runs"]
    assert second["run_id"] != run["run_id"]
    assert (await desk.ask("GET", f"events/{again['event_id']}"))["causation_id"] == "ada-1"

    # A run that sleeps is seen while it does, and ends when it is cancelled.
    event = await desk.ask("POST", "events", 202, json={"event_type": "sleep.asked", "payload": 1})
    flow = await desk.ask("GET", "flows/sleep")
    assert [node["id"] for node in flow["graph"]["nodes"]] == ["trigger:1", "one", "done"]
    run_id = run_id_of(event["event_id"], "sleep")
    waiting = await desk.until(f"runs/{run_id}", lambda seen: seen["state"] == "waiting")
    assert waiting["waiting"]["event_id"] == event["event_id"]
    report = await desk.ask("POST", f"runs/{run_id}/cancel", json={"reason": "changed my mind"})
    assert report["was_asleep"] is True
    ended = await desk.until(f"runs/{run_id}", lambda seen: seen["state"] == "ended")
    assert ended["record"]["status"] == "cancelled"

    # A timer that would fire next year fires now.
    [timer] = (await desk.ask("GET", "timers"))["timers"]
    assert (timer["timer"], timer["last"]) == ("clock#1", None)
    fired = await desk.ask("POST", "timers/clock/run", 202)
    [tick] = (await desk.until(f"runs?event_id={fired['event_id']}", lambda p: p["runs"]))["runs"]
    assert (tick["flow"], tick["status"]) == ("clock", "completed")

    actions = {entry["action"] for entry in (await desk.ask("GET", "audit"))["entries"]}
    assert {"event.resend", "run.cancel", "timer.run"} <= actions
    listed = await desk.ask("GET", "events?event_type=greet.asked")
    assert {event["id"] for event in listed["events"]} >= {"ada-1", again["event_id"]}

    # A login opens the bus until it is revoked.
    made = await desk.ask("POST", "logins", 201, json={"name": "erp"})
    await wait_login(tmp_path, made["seed"], is_taken=True)
    await desk.ask("DELETE", f"logins/{made['id']}", 204)
    await wait_login(tmp_path, made["seed"], is_taken=False)

    # Suspended, it takes nothing in, and what it has can still be looked at.
    await platform.ask("POST", "suspend")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await desk.status("POST", "events", json=wanted) != 404:
            await asyncio.sleep(0.1)
    assert (await desk.ask("GET", "events/ada-1"))["payload"] == {"name": "Ada"}
    assert (await desk.ask("GET", "runs?event_id=ada-1"))["runs"] == [run]
    await platform.ask("POST", "resume")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await desk.status("POST", "events", json=wanted) != 202:
            await asyncio.sleep(0.1)


async def wait_login(root: Path, seed: str, *, is_taken: bool) -> None:
    url = nats_credentials(root / "bundle" / ".greentic")["url"]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await takes_login(url, seed=seed) != is_taken:
            await asyncio.sleep(0.1)
