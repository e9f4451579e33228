"""Tenants with something in every store of an env, put there by the adapters of the program."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from actors.outcomes import RunError, RunResult
from actors.ports import (
    Continuation,
    DeadLetter,
    Envelope,
    JournalEntry,
    RunRecord,
    StateScope,
    TimerPause,
)
from app.accounts.logins import KvBusLogins
from app.audit.entry import Who
from app.audit.log import Change
from app.bootstrap.audit_side import AuditSide
from app.bootstrap.past import SHARED
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.continuations import JetStreamContinuations
from app.bus.dead_letters import JetStreamDeadLetters
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.publisher import JetStreamEventPublisher
from app.bus.records import JetStreamRunRecords
from app.bus.server_folder import Endpoint
from app.control import names
from app.control.activations import Activation
from app.control.control import Control, TenantSubscriptions
from app.control.limits import StreamLimits
from app.deployments.document import Revision, next_document
from app.deployments.opening import open_store
from app.providers.provider import Blob
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores.api_keys import KvApiKeys
from app.stores.blobs import ObjectBlobs
from app.stores.key_source import KeySource
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.secrets import KvSecrets
from app.stores.state import KvStateStore
from app.system import SystemClock
from app.tenancy.desk import NewTenant, TenantDesk
from app.tenancy.store import TenantStore
from tests.support.builders import an_event
from tests.support.bus import DeafObserver, connected

ANN = Who("cli:ann@desk", "cli")
LANE = "orders.slow"
RUN = "run-1"
SOON_MS = 1500
HOUR_MS = 3_600_000
OBJECT_BYTES = 300_000
"""Three parts."""
CLOCK = SystemClock()


@dataclass
class Env:
    """An env with all that a process uses of it."""

    bus: Bus
    name: str
    control: Control
    publisher: AckedPublisher
    reader: DirectReader
    audit: AuditSide
    work_shards: int

    def bucket(self, name: str) -> KvBucket:
        """Give a bucket by its full name."""
        return KvBucket(self.bus, name)

    @property
    def tenants(self) -> TenantStore:
        return TenantStore(self.bucket(names.tenants_bucket(self.name)), CLOCK)

    @property
    def desk(self) -> TenantDesk:
        return TenantDesk(self.tenants, self.audit.log, CLOCK)

    @property
    def state(self) -> KvStateStore:
        return KvStateStore(self.bucket(names.state_bucket(self.name)), CLOCK)

    def journal_stream(self, tenant: str) -> str:
        """Name the stream of a tenant's journals."""
        return names.journal_stream(self.name, names.work_shard(tenant, self.work_shards))

    def subscriptions(self, tenant: str) -> TenantSubscriptions:
        """What the tenant's deployment wants."""
        return TenantSubscriptions(tenant, {"orders#1": "order.>"}, {LANE: True})


@contextlib.asynccontextmanager
async def an_env(
    server: Endpoint, env: str, *, work_shards: int = 1, replicas: int = 0
) -> AsyncIterator[Env]:
    """Give an env with its streams, and nobody in it."""
    async with connected(server) as bus:
        control = Control(bus, env, limits=StreamLimits(replicas=replicas), work_shards=work_shards)
        await control.ensure([])
        publisher = await AckedPublisher.start(bus)
        reader = await DirectReader.start(bus)
        audit = await AuditSide.open(bus, env, CLOCK, DeafObserver())
        try:
            yield Env(bus, env, control, publisher, reader, audit, work_shards)
        finally:
            await audit.close()
            await reader.close()
            publisher.close()


async def furnish(env: Env, tenant: str) -> None:
    """Make a tenant, deploy it, and leave something of it in every store."""
    await env.desk.add(ANN, NewTenant(tenant))
    await env.control.ensure([env.subscriptions(tenant)])
    await _run(env, tenant)
    await _keep(env, tenant)
    await _authorize(env, tenant)
    async with env.audit.log.change(ANN, Change("secret.set", tenant, "mail")):
        pass


async def _run(env: Env, tenant: str) -> None:
    """Leave what events and runs leave."""
    event = an_event(f"e-{tenant}")
    await JetStreamEventPublisher(env.publisher, env=env.name).publish(
        Envelope(tenant, event, event.id)
    )
    continuations = JetStreamContinuations(env.publisher, env=env.name, clock=CLOCK)
    later = CLOCK.now_ms() + HOUR_MS
    await continuations.schedule(tenant, Continuation(RUN, "orders", event))
    await continuations.schedule(tenant, Continuation("run-2", "orders", event, due_ms=later))
    await continuations.schedule(tenant, Continuation("run-3", "orders", event), lane=LANE)
    soon = CLOCK.now_ms() + SOON_MS
    await continuations.schedule(tenant, Continuation("run-4", "orders", event, due_ms=soon))
    journal = JetStreamJournal(
        env.publisher, env.reader, env=env.name, stream_of=env.journal_stream
    )
    await journal.write(tenant, RUN, JournalEntry("call:1", {"of": tenant}), ttl_seconds=3600)
    error = RunError("flow_error", "n", "no")
    result = RunResult(event.id, RUN, "orders", "1", "failed", None, error, 1, 2, 1)
    record = RunRecord(tenant, event.event_type, "event:1", result)
    await JetStreamRunRecords(env.publisher, env=env.name).write_all([record])
    letters = JetStreamDeadLetters(env.publisher, env=env.name)
    await letters.park(DeadLetter(tenant, "flow_error", error, 1, RUN, event, "orders"))
    # Where earlier versions parked letters, and what no node of this version sends yet.
    for subject in (
        f"greentic.dead.{env.name}.{tenant}",
        f"greentic.messaging.egress.{env.name}.{tenant}.sales.mail",
        names.usage_windows(env.name, f"{tenant}.20260101.00.orders"),
    ):
        await store(env.bus, subject, b"{}")


async def _keep(env: Env, tenant: str) -> None:
    """Leave what is kept beside runs: state, timers, leases, objects, secrets, a deployment."""
    await env.state.put(StateScope(tenant, "sales", "s-1"), "total", {"of": tenant})
    await env.state.put(StateScope(tenant), "gone", 1)
    await env.state.delete(StateScope(tenant), "gone")
    leases = KvStateStore(env.bucket(names.leases_bucket(env.name)), CLOCK)
    await leases.put(StateScope(tenant), "timer", "me")
    pauses = KvTimerPauses(env.bucket(names.timers_bucket(env.name)))
    await pauses.write(tenant, "timer.orders.1", TimerPause(is_paused=True, changed_ms=1))
    for bucket in (names.blobs_bucket(env.name), names.versions_bucket(env.name)):
        blobs = ObjectBlobs(env.bus.client, bucket)
        await blobs.put(
            tenant, Blob(f"of-{tenant}", tenant[:1].encode() * OBJECT_BYTES, "text/plain")
        )
        await blobs.put(SHARED, Blob("for-all", b"shared" * 10, "text/plain"))
    await secrets_of(env).set(tenant, "mail", f"secret of {tenant}")
    deployments = open_store(env.bus, env.name, CLOCK)
    revision = Revision(None, "orders", "1", "apply", 1, "apply", 1, "cli:ann@desk")
    document = next_document(None, revision, {"orders#1": Activation("order.>", 0)})
    await deployments.write(tenant, document, 0)


async def _authorize(env: Env, tenant: str) -> None:
    """Leave a key that is in force, one that is revoked, a use, and a login."""
    keys = KvApiKeys(env.bucket(names.api_keys_bucket(env.name)), CLOCK)
    key, _ = await keys.add(tenant, "app", ["tenant-publish"])
    old, _ = await keys.add(tenant, "old", ["tenant-publish"])
    await keys.revoke(tenant, old.prefix)
    uses = KeyUses(env.bucket(names.key_uses_bucket(env.name)), CLOCK)
    uses.note(key.place, CLOCK.now_ms())
    await uses.write()
    await KvBusLogins(env.bucket(names.bus_logins_bucket(env.name)), CLOCK).issue(tenant, "app")


def secrets_of(env: Env) -> KvSecrets:
    """Give the env's secrets."""
    section = SecretsSection(key=SecretStr(format_key(bytes(range(32)))))
    keys = KeySource(section, env.name, Path("unused"))
    return KvSecrets(env.bucket(names.secrets_bucket(env.name)), env.name, keys)


async def store(bus: Bus, subject: str, data: bytes) -> None:
    """Store a message as anybody on the bus could."""
    answer = await bus.request(subject, data, timeout_seconds=5)
    assert "seq" in json.loads(answer.data), answer.data


# ── Looking behind ───────────────────────────────────────────────────────────────────────────


async def ask(bus: Bus, subject: str, body: object) -> dict[str, Any]:
    """Ask JetStream itself."""
    data = json.dumps(body).encode()
    answer = await bus.request(f"$JS.API.{subject}", data, timeout_seconds=10)
    document: dict[str, Any] = json.loads(answer.data)
    assert "error" not in document, document
    return document


async def streams_of(bus: Bus, env: str) -> list[str]:
    """Name every stream on the server that has to do with an env."""
    names_found: list[str] = []
    while True:
        page = await ask(bus, "STREAM.NAMES", {"offset": len(names_found)})
        names_found += page["streams"] or []
        if len(names_found) >= page["total"]:
            break
    return sorted(name for name in names_found if env in name)


async def traces(bus: Bus, env: str, tenant: str) -> list[str]:
    """Name whatever on the server is named after a tenant: streams, consumers, subjects, objects.

    By raw requests, with the tenant in every position, and not by what the program believes.
    """
    found = []
    for stream in await streams_of(bus, env):
        info = await ask(bus, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
        consumers = await ask(bus, f"CONSUMER.NAMES.{stream}", {"offset": 0})
        listened = info["config"]["subjects"]
        stored = info["state"].get("subjects") or {}
        known = [stream, *(consumers["consumers"] or []), *listened, *stored]
        found += [f"{stream}: {name}" for name in known if names_tenant(name, tenant)]
    return found


def names_tenant(name: str, tenant: str) -> bool:
    """Tell whether a name has the tenant among its parts."""
    tokens = name.split(".")
    if tokens[0] == "$O" and tokens[2] == "M":
        tokens += base64.urlsafe_b64decode(tokens[3]).decode().split("/")
    is_consumer = name == f"work-{tenant}" or name.startswith(f"lane-{tenant}-L-")
    return tenant in tokens or is_consumer or name.endswith(f"-T-{tenant}")


def object_token(name: str) -> str:
    """Write an object's name as its record's subject has it."""
    return base64.urlsafe_b64encode(name.encode()).decode()


async def contents(
    bus: Bus, env: str, streams: Sequence[str]
) -> dict[str, list[tuple[str, bytes]]]:
    """Read streams whole."""
    read: dict[str, list[tuple[str, bytes]]] = {}
    for stream in streams:
        state = (await ask(bus, f"STREAM.INFO.{stream}", {}))["state"]
        messages = []
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            question = json.dumps({"seq": sequence}).encode()
            answer = await bus.request(
                f"$JS.API.STREAM.MSG.GET.{stream}", question, timeout_seconds=5
            )
            message = json.loads(answer.data).get("message")
            if message is not None:
                data = base64.b64decode(message.get("data") or "")
                messages.append((message["subject"], data))
        read[stream] = messages
    return read


async def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait until an async condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def orphan(env: Env, bucket: str) -> str:
    """Leave a part of an object whose record was never written, and give its stream."""
    await store(env.bus, f"$O.{bucket}.C.half", b"half")
    assert await JetStreamAdmin(env.bus).stream_info(names.object_stream(bucket)) is not None
    return names.object_stream(bucket)
