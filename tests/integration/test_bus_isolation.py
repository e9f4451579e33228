"""A tenant's login to NATS reaches its own events and results, and nothing else.

Every attack is tried through two doors on one real server: the tenant's own account, where it must
come to nothing, and the platform's account, where all tenants would be if they shared one; there it
must succeed, or it would prove nothing.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from app.bus.bus_accounts import PLATFORM_ACCOUNT
from app.bus.server_folder import Endpoint
from tests.support.bus_doors import (
    ATTACKER,
    SETTLE_SECONDS,
    VICTIM,
    BusEstate,
    an_estate,
    an_event,
    answer_of,
    connect_as,
    connect_as_platform,
    included,
    let_in,
)
from tests.support.nats_server import KillableServer

Attack = Callable[[Client, BusEstate], Awaitable[bool]]
"""Gives whether it reached anything that is not the attacker's."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableServer]:
    """A server of this module's own: its accounts are changed."""
    server = KillableServer(tmp_path_factory.mktemp("isolation"))
    server.start_blocking()
    yield server
    server.kill_blocking()


@dataclass
class Doors:
    """The estate, and the attacker's connection to its own account."""

    estate: BusEstate
    endpoint: Endpoint
    attacker: Client
    seeds: dict[str, str]
    errors: list[str]


@pytest.fixture
async def doors(server: KillableServer, fresh_env: str) -> AsyncIterator[Doors]:
    endpoint, errors = server.endpoint, list[str]()
    async with an_estate(endpoint, fresh_env) as estate:
        seeds = await let_in(server.folder, endpoint, fresh_env, (ATTACKER, VICTIM))
        attacker = await connect_as(endpoint.url, seeds[ATTACKER], errors)
        try:
            yield Doors(estate, endpoint, attacker, seeds, errors)
        finally:
            await attacker.close()


# ── The attacks ──────────────────────────────────────────────────────────────────────────────


def publishing(subject: str, data: bytes = b"x", *, reply: str = "", **headers: str) -> Attack:
    """Publish somewhere; reached if anything of the platform's or the victim's changed."""

    async def attack(client: Client, estate: BusEstate) -> bool:
        before = await estate.state()
        names = {name.replace("_", "-"): value.format(e=estate) for name, value in headers.items()}
        await client.publish(
            subject.format(e=estate), data, reply=reply.format(e=estate), headers=names or None
        )
        await client.flush()
        return await estate.has_changed_since(before)

    return attack


def asking(subject: str, data: str = "") -> Attack:
    """Ask something; reached if anybody answers."""

    async def attack(client: Client, estate: BusEstate) -> bool:
        body = data.replace("ENV", estate.env).encode()
        return await answer_of(client, subject.format(e=estate), body) is not None

    return attack


def hearing(subject: str, *, queue: str = "") -> Attack:
    """Subscribe; reached if anything of the platform's or the victim's is heard."""

    async def attack(client: Client, estate: BusEstate) -> bool:
        heard: list[Msg] = []

        async def take(message: Msg) -> None:
            if f".{ATTACKER}." not in message.subject:
                heard.append(message)

        await client.subscribe(subject.format(e=estate), queue=queue, cb=take)
        await client.flush()
        await _go_about(estate)
        await client.flush()
        await asyncio.sleep(SETTLE_SECONDS)
        return bool(heard)

    return attack


async def _go_about(estate: BusEstate) -> None:
    """Let the platform do for the victim what it does all day."""
    await estate.store(VICTIM, "order.created")
    await estate.store(VICTIM, "order.created.result")
    for subject in (
        f"$KV.secrets-{estate.env}.{VICTIM}.KEY",
        f"$O.blobs-{estate.env}.C.x",
        f"greentic.audit.{estate.env}.{VICTIM}.x",
        f"greentic.messaging.egress.{estate.env}.{VICTIM}.t.c",
        f"greentic.work.{estate.env}.{VICTIM}.run.r1",
        f"greentic.dead.{estate.env}.{VICTIM}.e.l",
    ):
        await estate.platform.jetstream().publish(subject, b"of-the-victim")
    for subject in (f"greentic.control.{estate.env}.{VICTIM}.cancel", "greentic.reply.i1.e1"):
        await estate.platform.publish(subject, b"of-the-victim")
    await estate.platform.request("$JS.API.INFO", b"", timeout=2)
    await estate.platform.flush()


VICTIMS = "greentic.events.{e.env}.bolt"
OWN = "greentic.events.{e.env}.acme"
PULL = '{"batch": 1, "no_wait": true}'
KV_GET = "$JS.API.DIRECT.GET.KV_deployments-{e.env}.$KV.deployments-{e.env}.WORK-SHARDS"
EVIL = '{"name": "EVIL-ENV", "subjects": ["greentic.events.ENV.evil.>"]}'
EAVESDROP = (
    '{"stream_name": "EVENTS-ENV-T-bolt", "config": {"name": "evil", "deliver_subject": "_INBOX.x",'
    ' "ack_policy": "none", "filter_subject": "greentic.events.ENV.bolt.>"}}'
)
WIDER = '{"name": "EVENTS-ENV-T-acme", "subjects": ["greentic.events.ENV.>"]}'
FIRST = '{"seq": 1}'

ATTACKS: dict[str, Attack] = {
    # Subjects of the other tenant, and the platform's own.
    "event": publishing(VICTIMS + ".order.created", an_event("order.created", "e9")),
    "result": publishing(VICTIMS + ".order.created.result"),
    "event with an answer": asking(VICTIMS + ".order.created"),
    "work": publishing("greentic.work.{e.env}.bolt.run.r1"),
    "schedule": publishing("greentic.work.{e.env}.bolt.at.r1"),
    "journal": publishing("greentic.journal.{e.env}.bolt.r1.s"),
    "run record": publishing("greentic.runs.{e.env}.bolt.flow"),
    "dead letter": publishing("greentic.dead.{e.env}.bolt.e.l"),
    "audit": publishing("greentic.audit.{e.env}.bolt.x"),
    "egress": publishing("greentic.messaging.egress.{e.env}.bolt.t.c"),
    "cancel": publishing("greentic.control.{e.env}.bolt.cancel"),
    "own cancel": publishing("greentic.control.{e.env}.acme.cancel"),
    "own run": publishing("greentic.work.{e.env}.acme.run.r1"),
    "webhook's answer": publishing("greentic.reply.i1.e1"),
    # The place for the answer.
    "reply to event": publishing(OWN + ".order.created", reply=VICTIMS + ".order.created"),
    "reply to work": publishing(OWN + ".order.created", reply="greentic.work.{e.env}.bolt.run.r1"),
    "reply to cancel": publishing(
        OWN + ".order.created", reply="greentic.control.{e.env}.bolt.cancel"
    ),
    "reply to bucket": publishing(OWN + ".order.created", reply="$KV.keys-{e.env}.bolt.k"),
    # Settling and taking what a worker has in hand.
    "ack": publishing("{e.victim_ack}", b"+ACK"),
    "term": publishing("{e.victim_ack}", b"+TERM"),
    "pull": asking("$JS.API.CONSUMER.MSG.NEXT.{e.victim_stream}.flows", PULL),
    "pull own": asking("$JS.API.CONSUMER.MSG.NEXT.EVENTS-{e.env}-T-acme.flows", PULL),
    # JetStream's administration.
    "api info": asking("$JS.API.INFO"),
    "streams": asking("$JS.API.STREAM.NAMES"),
    "stream list": asking("$JS.API.STREAM.LIST"),
    "stream info": asking("$JS.API.STREAM.INFO.{e.victim_stream}"),
    "own stream info": asking("$JS.API.STREAM.INFO.EVENTS-{e.env}-T-acme"),
    "message get": asking("$JS.API.STREAM.MSG.GET.{e.victim_stream}", FIRST),
    "direct get": asking("$JS.API.DIRECT.GET.{e.victim_stream}", FIRST),
    "direct get by subject": asking("$JS.API.DIRECT.GET.{e.victim_stream}." + VICTIMS + ".order.paid"),
    "message delete": asking("$JS.API.STREAM.MSG.DELETE.{e.victim_stream}", FIRST),
    "purge": asking("$JS.API.STREAM.PURGE.{e.victim_stream}"),
    "purge own": asking("$JS.API.STREAM.PURGE.EVENTS-{e.env}-T-acme"),
    "delete": asking("$JS.API.STREAM.DELETE.{e.victim_stream}"),
    "create": asking("$JS.API.STREAM.CREATE.EVIL-{e.env}", EVIL),
    "update own": asking("$JS.API.STREAM.UPDATE.EVENTS-{e.env}-T-acme", WIDER),
    "snapshot": asking("$JS.API.STREAM.SNAPSHOT.{e.victim_stream}", '{"deliver_subject": "_INBOX.s"}'),
    "consumers": asking("$JS.API.CONSUMER.NAMES.{e.victim_stream}"),
    "consumer create": asking("$JS.API.CONSUMER.CREATE.{e.victim_stream}.evil", EAVESDROP),
    "consumer info": asking("$JS.API.CONSUMER.INFO.{e.victim_stream}.flows"),
    "consumer delete": asking("$JS.API.CONSUMER.DELETE.{e.victim_stream}.flows"),
    "consumer pause": asking("$JS.API.CONSUMER.PAUSE.{e.victim_stream}.flows", "{}"),
    "unpin": asking("$JS.API.CONSUMER.UNPIN.{e.victim_stream}.flows", '{"group": "g"}'),
    "step down": asking("$JS.API.STREAM.LEADER.STEPDOWN.{e.victim_stream}"),
    # Buckets and objects.
    "bucket read": asking(KV_GET),
    "bucket write": publishing("$KV.keys-{e.env}.bolt.abcdefgh"),
    "login write": publishing("$KV.logins-{e.env}.acme.abcdefgh"),
    "bucket info": asking("$JS.API.STREAM.INFO.KV_secrets-{e.env}"),
    "object write": publishing("$O.blobs-{e.env}.C.x"),
    "object info": asking("$JS.API.STREAM.INFO.OBJ_blobs-{e.env}"),
    # Listening.
    "hear events": hearing(VICTIMS + ".>"),
    "hear results": hearing(VICTIMS + ".order.created.result"),
    "hear in a queue": hearing(VICTIMS + ".>", queue="q"),
    "hear all tenants": hearing("greentic.events.{e.env}.*.>"),
    "hear all": hearing(">"),
    "hear greentic": hearing("greentic.>"),
    "hear first token": hearing("*.>"),
    "hear inboxes": hearing("_INBOX.>"),
    "hear JetStream": hearing("$JS.>"),
    "hear buckets": hearing("$KV.>"),
    "hear objects": hearing("$O.>"),
    "hear answers": hearing("greentic.reply.>"),
    "hear controls": hearing("greentic.control.>"),
    "hear egress": hearing("greentic.messaging.egress.{e.env}.>"),
    "hear audit": hearing("greentic.audit.>"),
    # Headers that name a place.
    "trace to event": publishing(
        OWN + ".order.created", Nats_Trace_Dest=VICTIMS + ".order.created"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_nothing_crosses_from_an_account_of_its_own(doors: Doors, name: str) -> None:
    assert not await ATTACKS[name](doors.attacker, doors.estate)


@pytest.mark.parametrize("name", ATTACKS)
async def test_the_same_crosses_where_an_account_is_shared(doors: Doors, name: str) -> None:
    client = await connect_as_platform(doors.endpoint)
    try:
        assert await ATTACKS[name](client, doors.estate)
    finally:
        await client.close()


# ── Where permissions alone are the wall ─────────────────────────────────────────────────────


@pytest.fixture
async def limited(server: KillableServer, doors: Doors) -> AsyncIterator[Client]:
    """A user in the platform's account, with the narrowest permissions that serve a tenant."""
    env, config = doors.estate.env, server.folder.config_path
    own = f"greentic.events.{env}.{ATTACKER}.>"
    allowed = [own, f"$JS.API.CONSUMER.MSG.NEXT.EVENTS-{env}-T-{ATTACKER}.flows"]
    permissions = {"publish": {"allow": allowed}, "subscribe": {"allow": [own, "_INBOX.>"]}}
    user = f'{{ user: "limited", password: "p", permissions: {json.dumps(permissions)} }},'
    before = config.read_text()
    head, users, tail = before.partition(
        f'"{PLATFORM_ACCOUNT}" {{\n    jetstream: enabled\n    users: ['
    )
    assert users
    config.write_text(f"{head}{users} {user}{tail}")
    reload = included(server.folder, server.endpoint)._reload
    await reload.reload()
    client = await nats.connect(
        server.endpoint.url, user="limited", password="p", error_cb=_ignore, allow_reconnect=False
    )
    yield client
    await client.close()
    config.write_text(before)
    await reload.reload()


async def _ignore(_: Exception) -> None:
    """Refusals are what these tests are about."""


@pytest.mark.parametrize(
    ("name", "crosses"),
    [
        ("event", False),
        ("ack", False),
        ("hear events", False),
        ("reply to event", True),
        ("reply to work", True),
        ("reply to cancel", True),
    ],
)
async def test_permissions_in_a_shared_account_do_not_hold_replies(
    doors: Doors, limited: Client, name: str, crosses: bool
) -> None:
    assert await ATTACKS[name](limited, doors.estate) is crosses


async def test_a_pull_in_a_shared_account_writes_into_the_streams_of_others(
    doors: Doors, limited: Client
) -> None:
    """The answer to a pull is what the tenant published: it chooses the words, and the place."""
    estate = doors.estate
    before = await estate.state()
    await limited.publish(
        f"$JS.API.CONSUMER.MSG.NEXT.EVENTS-{estate.env}-T-{ATTACKER}.flows",
        reply=estate.subject(VICTIM, "order.paid"),
    )
    await limited.flush()
    assert await estate.has_changed_since(before)


# ── The server's own account, and services ───────────────────────────────────────────────────

SYSTEM_SUBJECTS = [
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.VARZ",
    "$SYS.REQ.SERVER.PING.CONNZ",
    "$SYS.REQ.SERVER.PING.JSZ",
    "$SYS.REQ.SERVER.{server}.RELOAD",
    "$SYS.REQ.SERVER.{server}.KICK",
    "$SYS.REQ.ACCOUNT.GREENTIC.CONNZ",
    "$SYS.REQ.ACCOUNT.GREENTIC.JSZ",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.PING.STATZ",
    "$SYS.REQ.USER.INFO",
    "$SYS.REQ.CLAIMS.LIST",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.ACCOUNT.PURGE.GREENTIC",
    "$SRV.PING",
    "$SRV.INFO",
    "$SRV.STATS",
]


@pytest.mark.parametrize("subject", SYSTEM_SUBJECTS)
async def test_neither_the_server_nor_a_service_answers(doors: Doors, subject: str) -> None:
    server = doors.estate.platform._server_info["server_id"]
    answer = await answer_of(doors.attacker, subject.format(server=server), b'{"cid": 1}')
    assert answer is None


@pytest.mark.parametrize("subject", ["$SYS.>", "$SRV.>", "_R_.>", "$G.>", "_INBOX.*"])
async def test_nothing_of_the_servers_is_heard(doors: Doors, subject: str) -> None:
    assert not await hearing(subject)(doors.attacker, doors.estate)


@pytest.mark.parametrize(
    "login", [{}, {"user": ATTACKER, "pass": ""}, {"auth_token": "t"}, {"nkey": "U" + "A" * 55}]
)
async def test_nobody_comes_in_without_a_login(doors: Doors, login: dict[str, str]) -> None:
    port = doors.endpoint.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
    async with asyncio.timeout(5):
        said = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"Authorization Violation" in said
    assert b"PONG" not in said


async def test_inboxes_of_two_tenants_are_apart(doors: Doors) -> None:
    victim = await connect_as(doors.endpoint.url, doors.seeds[VICTIM])
    heard: list[Msg] = []

    async def take(message: Msg) -> None:
        heard.append(message)

    await doors.attacker.subscribe("_INBOX.>", cb=take)
    await doors.attacker.flush()
    acked = await victim.request(doors.estate.subject(VICTIM, "order.created"), b"x", timeout=2)
    await doors.attacker.flush()
    assert b"seq" in acked.data
    assert heard == []
    await victim.close()


# ── Within its own part ──────────────────────────────────────────────────────────────────────


async def last_of(doors: Doors) -> int:
    stream = f"EVENTS-{doors.estate.env}-T-{ATTACKER}"
    return int((await doors.estate.platform.jetstream().stream_info(stream)).state.last_seq)


@pytest.mark.parametrize("tokens", range(1, 10))
@pytest.mark.parametrize("last", ["result", "other"])
async def test_only_event_types_of_its_own_are_published(
    doors: Doors, tokens: int, last: str
) -> None:
    event_type = ".".join([*"abcdefgh"[: tokens - 1], last])
    is_allowed = tokens <= 8 and (last != "result" or tokens == 1)
    before = await last_of(doors)
    await doors.attacker.publish(doors.estate.subject(ATTACKER, event_type), b"x")
    await doors.attacker.flush()
    await asyncio.sleep(SETTLE_SECONDS)
    assert await last_of(doors) - before == (1 if is_allowed else 0)


@pytest.mark.parametrize(
    "event_type",
    ["timer.flow.1", "timer.x", "email.received", "twilio.sms.incoming", "email.a.b.c.d"],
)
async def test_what_only_providers_publish_is_refused(doors: Doors, event_type: str) -> None:
    before = await last_of(doors)
    await doors.attacker.publish(doors.estate.subject(ATTACKER, event_type), b"x")
    await doors.attacker.flush()
    assert await last_of(doors) == before
    assert any("permissions violation" in error.lower() for error in doors.errors)


@pytest.mark.parametrize("reply", ["order.created.result", "timer.flow.1", "order.other"])
async def test_the_answer_to_publishing_is_not_published_in_turn(doors: Doors, reply: str) -> None:
    estate, before = doors.estate, await last_of(doors)
    await doors.attacker.publish(
        estate.subject(ATTACKER, "order.created"), b"x", reply=estate.subject(ATTACKER, reply)
    )
    await doors.attacker.flush()
    await asyncio.sleep(SETTLE_SECONDS)
    assert await last_of(doors) == before + 1


@pytest.mark.parametrize("ack", [b"", b"+ACK", b"+TERM", b"-NAK"])
async def test_the_answer_to_publishing_settles_nothing(doors: Doors, ack: bytes) -> None:
    """nats-server lets no client name an ack's subject as the place for an answer."""
    estate, before = doors.estate, await doors.estate.state()
    for subject in (
        estate.subject(ATTACKER, "order.created"),
        estate.subject(ATTACKER, "a.result"),
    ):
        await doors.attacker.publish(subject, ack, reply=estate.victim_ack)
    await doors.attacker.flush()
    assert not await estate.has_changed_since(before)


@pytest.mark.parametrize(
    "headers",
    [
        {"Nats-Rollup": "all"},
        {"Nats-Rollup": "sub"},
        {"Nats-TTL": "1s"},
        {"Nats-Schedule": "@at 2036-01-01T00:00:00Z", "Nats-Schedule-Target": "{own}.a.result"},
        {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "{own}.timer.x"},
        {"Nats-Schedule-Next": "purge", "Nats-Scheduler": "{own}.order.created"},
        {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
        {"Nats-Incr": "+1"},
        {"Nats-Expected-Stream": "EVENTS-other"},
        {"Nats-Expected-Last-Sequence": "999"},
        {"Nats-Expected-Last-Subject-Sequence": "999"},
        {"Nats-Expected-Last-Msg-Id": "x"},
    ],
    ids=lambda headers: "+".join(f"{name}={headers[name][:6]}" for name in headers),
)
async def test_headers_that_command_a_stream_are_without_effect(
    doors: Doors, headers: dict[str, str]
) -> None:
    """Neither removed nor moved: the stream only ever grows by what was published."""
    js, own = doors.estate.platform.jetstream(), doors.estate.subject(ATTACKER, "")[:-1]
    stream = f"EVENTS-{doors.estate.env}-T-{ATTACKER}"
    before = (await js.stream_info(stream)).state
    given = {name: value.format(own=own) for name, value in headers.items()}
    await doors.attacker.publish(f"{own}.order.created", b"x", headers=given)
    await doors.attacker.flush()
    await asyncio.sleep(SETTLE_SECONDS)
    after = (await js.stream_info(stream)).state
    assert after.first_seq == before.first_seq
    assert after.messages - before.messages == after.last_seq - before.last_seq <= 1
    subjects = (await js.stream_info(stream, subjects_filter=">")).state.subjects or {}
    assert set(subjects) == {f"{own}.order.created"}


async def test_a_trace_reports_nothing_of_the_platform(doors: Doors) -> None:
    estate, heard = doors.estate, list[Msg]()

    async def take(message: Msg) -> None:
        heard.append(message)

    await doors.attacker.subscribe("_INBOX.trace", cb=take)
    await doors.attacker.publish(
        estate.subject(ATTACKER, "order.created"), b"x", headers={"Nats-Trace-Dest": "_INBOX.trace"}
    )
    await doors.attacker.flush()
    await asyncio.sleep(SETTLE_SECONDS)
    told = b" ".join(message.data for message in heard).decode()
    assert VICTIM not in told
    assert "EVENTS-" not in told


async def test_own_events_and_results_are_published_and_heard(doors: Doors) -> None:
    """With a plain client, a plain subject and plain JSON (SPEC 2)."""
    estate, heard = doors.estate, asyncio.Queue[Msg]()
    await doors.attacker.subscribe(f"greentic.events.{estate.env}.{ATTACKER}.>", cb=heard.put)
    await doors.attacker.flush()
    subject = estate.subject(ATTACKER, "order.created")
    first, again = [
        json.loads((await doors.attacker.request(
            subject, an_event("order.created"), timeout=2, headers={"Nats-Msg-Id": "m1"}
        )).data)
        for _ in range(2)
    ]  # fmt: skip
    assert again == {**first, "duplicate": True}
    await estate.store(ATTACKER, "order.created.result", b'{"status": "completed"}')
    async with asyncio.timeout(2):
        seen = [await heard.get() for _ in range(3)]
    assert [message.subject for message in seen] == [subject, subject, f"{subject}.result"]
    assert json.loads(seen[2].data) == {"status": "completed"}
