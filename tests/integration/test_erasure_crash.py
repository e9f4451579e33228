"""An erasure that is killed anywhere is finished by whoever comes next."""

import asyncio
import signal
import sys

import pytest

from app.bus.server_folder import Endpoint
from app.control import names
from app.control.erasing import TenantStores
from app.erasure.eraser import Hands
from app.erasure.opening import open_eraser, open_steward
from app.erasure.steward import Sweeping
from app.tenancy.directory import TenantDirectory
from tests.support import furnishing
from tests.support.furnishing import ANN, CLOCK, Env, an_env, furnish, traces
from tests.support.programs import ROOT

pytestmark = pytest.mark.server

GONE, STAYS = "acme", "acme-eu"
CHILD_SECONDS = 30.0
KILLED_BEFORE = (0, 1, 4, 9, 14, 19, 26)
"""Of 27: audit, revocations, the deployment, consumers, the stream, purges, parts of objects."""


async def until_killed(server: Endpoint, env: str, before: int) -> str:
    """Have a process erase and kill it where it stands; gives what it was about to do."""
    assert server.user is not None
    assert server.password is not None
    arguments = (server.url, server.user, server.password, env, GONE, str(before))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.erasing_child",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(CHILD_SECONDS):
            line = b""
            while not line.startswith((b"before", b"done")):
                line = await child.stdout.readline()
                assert line, "the child ended"
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    return line.decode().strip()


async def finish(env: Env) -> None:
    """Do what a process does at its start, until the tenant is gone."""

    async def released(_: str) -> None:
        pass

    hands = Hands(released, settle_seconds=0.0)
    directory = TenantDirectory(env.bucket(names.tenants_bucket(env.name)), CLOCK)
    eraser = open_eraser(env.bus, env.name, env.audit.log, CLOCK, hands)
    steward = open_steward(env.bus, env.name, directory, eraser, CLOCK, Sweeping())
    await directory.start()
    steward.start()

    async def is_purged() -> bool:
        return (await env.tenants.find(GONE)).record.purged_ms is not None

    try:
        await furnishing.until(is_purged, CHILD_SECONDS)
    finally:
        await steward.stop()
        await directory.stop()


@pytest.mark.parametrize("before", KILLED_BEFORE)
async def test_killed_erasure_is_finished_by_the_next(
    nats_server: Endpoint, fresh_env: str, before: int
) -> None:
    async with an_env(nats_server, fresh_env) as env:
        for tenant in (GONE, STAYS):
            await furnish(env, tenant)
        stores = TenantStores(env.bus, fresh_env)
        other = await stores.inventory(STAYS)
        await env.desk.remove(ANN, GONE)
        stood_before = await until_killed(nats_server, fresh_env, before)
        assert stood_before.startswith("before"), "it was killed half-way"
        await finish(env)
        assert (await stores.inventory(GONE)).is_empty
        kept = (names.audit_stream(fresh_env), f"KV_{names.tenants_bucket(fresh_env)}")
        left = await traces(env.bus, fresh_env, GONE)
        assert {line.partition(":")[0] for line in left} == set(kept)
        assert await stores.inventory(STAYS) == other
