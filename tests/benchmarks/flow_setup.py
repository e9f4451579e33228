"""What the three contestants of `flow` share: the stream, its consumer and its events."""

import json
from typing import Any

from actors.events import Event
from actors.ports import Envelope, NoProviderActions, NoScriptPool, NoSecrets
from actors.tenants.deployment import Deployment
from actors.testing.observer import RecordingObserver
from app.bootstrap.bus_side import BusSide, NodePorts
from app.bundle.reading import read_bundle
from app.bus.backlog import BacklogLimits
from app.bus.connection import Bus, BusSettings
from app.control.control import Control, TenantSubscriptions
from app.outbound import EgressPolicy
from tests.benchmarks.programs import BUNDLES

TENANT = "demo"
PAYLOAD = {
    "id": "ord-20481",
    "customer": {"name": "Ada Byron", "email": "ada@example.org"},
    "items": [
        {"sku": "tea-100", "price": 7.5, "quantity": 2},
        {"sku": "pot-1", "price": 134.0, "quantity": 1},
    ],
    "total": 149,
}


def settings(where: str) -> BusSettings:
    document: dict[str, Any] = json.loads(where)
    return BusSettings(document["url"], document["user"], document["password"])


async def prepare(
    bus: Bus, env: str, events: int, *, chosen: str = "orders"
) -> tuple[BusSide, Deployment]:
    """Deploy flows and store the events, before anybody consumes.

    ``chosen`` is a bundle, or ``bundle:flow`` for one of its flows.
    """
    name, _, only = chosen.partition(":")
    bundle = read_bundle(BUNDLES / name)
    flows = {
        flow: compiled
        for flow, compiled in bundle.tenants[TENANT].flows.items()
        if only in ("", flow)
    }
    plan = Deployment(TENANT, bundle.revision, flows)
    await Control(bus, env).ensure([TenantSubscriptions(TENANT, plan.patterns())])
    side = await BusSide.open(
        bus,
        env=env,
        observer=RecordingObserver(),
        nodes=NodePorts(NoProviderActions(), NoScriptPool(), NoSecrets()),
        egress=EgressPolicy(),
        backlog=BacklogLimits(),
    )
    for first in range(0, events, 1000):
        acks = [
            side.world.publisher.publish(
                Envelope(TENANT, _event(number), message_id=f"event-{number}")
            )
            for number in range(first, min(first + 1000, events))
        ]
        for ack in acks:
            await ack
    return side, Deployment(TENANT, bundle.revision, flows)


def _event(number: int) -> Event:
    return Event(f"event-{number}", "order.created", "bench", 1_700_000_000_000, PAYLOAD)
