"""Two tenants on a real server, and the doors through which one of them gets to NATS.

``BusEstate``: the streams, consumers and buckets of an env as `Control` makes them, with an event of
the victim's in a worker's hands. ``BusEstate.state``: what no attack may change.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamInfo

from app.accounts.grants import TenantAccount
from app.accounts.included import IncludedAccounts
from app.accounts.login import BusLogin, UserKey, new_user_key
from app.bus.connection import BusSettings
from app.bus.reloading import SystemReload
from app.bus.server_folder import Endpoint, ServerFolder
from app.control import names
from app.control.control import Control, TenantSubscriptions
from tests.support.bus import DeafObserver, connected

ATTACKER, VICTIM = "acme", "bolt"
ANSWER_SECONDS = 0.3
SETTLE_SECONDS = 0.1
CONNECT_ATTEMPTS_MAX = 4


def an_event(event_type: str, event_id: str = "e1") -> bytes:
    return json.dumps(
        {
            "id": event_id,
            "event_type": event_type,
            "source": "api",
            "timestamp": 1,
            "payload": {"secret": "of-the-victim"},
        }
    ).encode()


def a_login(tenant: str, key: UserKey) -> BusLogin:
    return BusLogin("abcdefgh", tenant, "test", key.public_key, 1)


def included(folder: ServerFolder, endpoint: Endpoint) -> IncludedAccounts:
    """The embedded server's accounts, as `start` keeps them."""
    system = endpoint.system
    settings = BusSettings(system.url, system.user, system.password)
    return IncludedAccounts(folder.tenants_path, SystemReload(settings, DeafObserver()))


async def connect_as(url: str, seed: str, errors: list[str] | None = None) -> Client:
    """Connect with a tenant's login, as any plain client does.

    A server that reloads its accounts just then may close the connection, and clients try again.
    """
    for _ in range(CONNECT_ATTEMPTS_MAX - 1):
        with contextlib.suppress(ConnectionResetError):
            return await _connect_as(url, seed, errors)
        await asyncio.sleep(0.2)
    return await _connect_as(url, seed, errors)


async def _connect_as(url: str, seed: str, errors: list[str] | None) -> Client:
    return await nats.connect(
        url, nkeys_seed_str=seed, error_cb=_collect(errors), allow_reconnect=False,
        connect_timeout=2,
    )  # fmt: skip


async def connect_as_platform(endpoint: Endpoint) -> Client:
    return await nats.connect(
        endpoint.url, user=endpoint.user, password=endpoint.password,
        error_cb=_collect(None), allow_reconnect=False,
    )  # fmt: skip


def _collect(errors: list[str] | None) -> Any:
    async def take(error: Exception) -> None:
        if errors is not None:
            errors.append(str(error))

    return take


async def answer_of(
    client: Client, subject: str, data: bytes = b"", headers: dict[str, str] | None = None
) -> Msg | None:
    """Ask and give the answer; None when nobody answers.

    The library's own `request` does not see what a consumer delivers: that keeps its subject.
    """
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish(subject, data, reply=inbox, headers=headers)
    with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
        message = await subscription.next_msg(ANSWER_SECONDS)
        return None if (message.headers or {}).get("Status") == "503" else message
    return None


@dataclass
class BusEstate:
    """An env on a server. ``victim_ack`` is where the victim's event in hand is settled."""

    env: str
    platform: Client
    victim_ack: str = ""
    heard: list[Msg] = field(default_factory=list)
    """What the platform heard outside of streams: controls, replies."""

    def subject(self, tenant: str, event_type: str) -> str:
        return f"greentic.events.{self.env}.{tenant}.{event_type}"

    @property
    def victim_stream(self) -> str:
        return names.events_stream(self.env, VICTIM)

    async def streams(self) -> list[StreamInfo]:
        """Give the streams of the env, those behind buckets too."""
        infos = await self.platform.jetstream().streams_info()
        return [info for info in infos if self.env in str(info.config.name)]

    async def store(self, tenant: str, event_type: str, data: bytes | None = None) -> None:
        """Let the platform store an event."""
        await self.platform.jetstream().publish(
            self.subject(tenant, event_type), data or an_event(event_type)
        )

    async def state(self) -> dict[str, Any]:
        """Give what must not change: all streams of the env but the attacker's, and the hand."""
        js = self.platform.jetstream()
        own = names.events_stream(self.env, ATTACKER)
        infos = await self.streams()
        state: dict[str, Any] = {
            str(info.config.name): (info.state.messages, info.state.last_seq, info.config.subjects)
            for info in infos
            if info.config.name != own
        }
        if self.victim_stream in state:
            consumers = await js.consumers_info(self.victim_stream)
            state["consumers"] = sorted(
                (one.name, one.num_ack_pending, one.delivered.stream_seq if one.delivered else 0)
                for one in consumers
            )
        state["heard"] = len(self.heard)
        return state

    async def has_changed_since(self, before: dict[str, Any]) -> bool:
        await self.platform.flush()
        await asyncio.sleep(SETTLE_SECONDS)
        return await self.state() != before


@contextlib.asynccontextmanager
async def an_estate(endpoint: Endpoint, env: str) -> AsyncIterator[BusEstate]:
    """Make an env with both tenants, an event of each, and the victim's in a worker's hands."""
    platform = await connect_as_platform(endpoint)
    try:
        tenants = [TenantSubscriptions(name, {"t": "order.*"}) for name in (ATTACKER, VICTIM)]
        async with connected(endpoint) as bus:
            await Control(bus, env).ensure(tenants)
        estate = BusEstate(env, platform)
        for tenant in (ATTACKER, VICTIM):
            await estate.store(tenant, "order.created")
        pulled = await answer_of(
            platform, f"$JS.API.CONSUMER.MSG.NEXT.{estate.victim_stream}.flows"
        )
        assert pulled is not None
        estate.victim_ack = pulled.reply
        await estate.store(VICTIM, "order.paid")

        async def hear(message: Msg) -> None:
            estate.heard.append(message)

        for subject in (f"greentic.control.{env}.>", "greentic.reply.>"):
            await platform.subscribe(subject, cb=hear)
        await platform.flush()
        yield estate
        for info in await estate.streams():  # a list of streams has 256 of them
            await platform.jetstream().delete_stream(str(info.config.name))
    finally:
        await platform.close()


async def let_in(folder: ServerFolder, endpoint: Endpoint, env: str, tenants: Sequence[str]) -> Any:
    """Give each tenant an account with one login; its seeds by tenant."""
    keys = {tenant: new_user_key() for tenant in tenants}
    await included(folder, endpoint).apply(
        [TenantAccount(env, tenant, (a_login(tenant, key),)) for tenant, key in keys.items()]
    )
    return {tenant: key.seed for tenant, key in keys.items()}
