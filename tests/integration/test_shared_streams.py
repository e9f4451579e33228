"""Tenants that share a stream never take each other's messages for their own repeats."""

from actors.events import Event
from actors.outcomes import RunError, RunResult
from actors.ports import Continuation, DeadLetter, RunRecord
from actors.testing.clock import VirtualClock
from app.bus.acked_publisher import AckedPublisher
from app.bus.continuations import JetStreamContinuations
from app.bus.dead_letters import JetStreamDeadLetters
from app.bus.records import JetStreamRunRecords
from app.bus.server_folder import Endpoint
from app.control.control import Control, TenantSubscriptions
from tests.support.bus import connected
from tests.support.streams import read_stream

TENANTS = ("acme", "globex")
EVENT = Event("same-event", "order.created", "test", 1, {"n": 1})
RUN = "same-run"


async def test_same_ids_of_two_tenants_are_two_messages(
    nats_server: Endpoint, fresh_env: str
) -> None:
    given = {
        "url": nats_server.url,
        "user": nats_server.user,
        "password": nats_server.password,
    }
    async with connected(nats_server) as bus:
        await Control(bus, fresh_env).ensure([TenantSubscriptions(t, {}) for t in TENANTS])
        publisher = await AckedPublisher.start(bus)
        continuations = JetStreamContinuations(publisher, env=fresh_env, clock=VirtualClock())
        letters = JetStreamDeadLetters(publisher, env=fresh_env)
        records = JetStreamRunRecords(publisher, env=fresh_env)
        error = RunError("flow_error", "n", "no")
        result = RunResult(EVENT.id, RUN, "flow", "1", "failed", None, error, 1, 2, 1)
        for tenant in TENANTS:
            await continuations.schedule(tenant, Continuation(RUN, "flow", EVENT))
            await letters.park(DeadLetter(tenant, "flow_error", error, 1, RUN, EVENT, "flow"))
            await records.write_all([RunRecord(tenant, EVENT.event_type, "event:1", result)])
        for stream, subject in (
            (f"DEAD-{fresh_env}", f"greentic.dead.{fresh_env}.>"),
            (f"RUNS-{fresh_env}-0", f"greentic.runs.{fresh_env}.>"),
        ):
            assert len(await read_stream(given, stream, subject)) == len(TENANTS)
        for tenant in TENANTS:
            subject = f"greentic.work.{fresh_env}.{tenant}.run.{RUN}"
            info = await bus.request(
                f"$JS.API.DIRECT.GET.WORK-{fresh_env}-0.{subject}", b"", timeout_seconds=5
            )
            assert b"same-event" in info.data
