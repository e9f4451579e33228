"""Erasure on three servers: whoever leads, and whoever dies meanwhile."""

from collections.abc import Iterator

import pytest

from actors.errors import UnavailableError
from app.control import names
from app.control.erasing import TenantStores
from app.erasure.eraser import Hands
from app.erasure.opening import open_eraser, open_steward
from app.erasure.steward import Sweeping
from app.tenancy.directory import TenantDirectory
from tests.support import furnishing
from tests.support.cluster import NatsCluster, a_nats_cluster
from tests.support.furnishing import ANN, CLOCK, an_env, furnish, traces

pytestmark = pytest.mark.server

GONE, STAYS = "acme", "acme-eu"
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with a_nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("dies", [False, True])
async def test_nothing_stays_on_any_server(
    cluster: NatsCluster, fresh_env: str, dies: bool
) -> None:
    endpoint = cluster.endpoint_of("n1", "n2", "n3")
    async with an_env(endpoint, fresh_env, replicas=3) as env:
        for tenant in (GONE, STAYS):
            await furnish(env, tenant)
        stores = TenantStores(env.bus, fresh_env)
        other = await stores.inventory(STAYS)
        await env.desk.remove(ANN, GONE)

        async def released(_: str) -> None:
            if dies:
                cluster.kill("n3")

        hands = Hands(released, settle_seconds=0.0)
        eraser = open_eraser(env.bus, fresh_env, env.audit.log, CLOCK, hands)
        directory = TenantDirectory(env.bucket(names.tenants_bucket(fresh_env)), CLOCK)
        steward = open_steward(env.bus, fresh_env, directory, eraser, CLOCK, Sweeping())

        async def is_purged() -> bool:
            try:
                return (await env.tenants.find(GONE)).record.purged_ms is not None
            except UnavailableError:  # a stream whose leader died takes seconds to have another
                return False

        await directory.start()
        steward.start()
        try:
            await furnishing.until(is_purged, PATIENCE_SECONDS)
        finally:
            await steward.stop()
            await directory.stop()
        assert (await stores.inventory(GONE)).is_empty
        assert await stores.inventory(STAYS) == other
        kept = {names.audit_stream(fresh_env), f"KV_{names.tenants_bucket(fresh_env)}"}
        assert {line.partition(":")[0] for line in await traces(env.bus, fresh_env, GONE)} == kept
