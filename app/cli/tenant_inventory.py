"""``greentic-events tenant inventory``: what there is of a tenant, in every store.

In: a tenant, an env. Out: counts for each store, for people or as JSON; nothing of what is stored.
Refuses nothing of its own: of a tenant that nobody knows there is nothing, or what it left behind.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.subjects import check_token
from app.cli.connecting import bus_settings, chosen_env, connected
from app.cli.output import print_json, say
from app.cli.tenant_records import JsonOption, TenantArgument
from app.control.erasing import Inventory, TenantStores

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]

_LABELS: Final = {
    "consumers": "consumers of streams",
    "streams": "streams and subjects of its own",
    "events": "events and results",
    "work": "runs that wait",
    "journal": "journal entries",
    "runs": "messages of run records",
    "dead_letters": "dead letters",
    "egress": "outgoing messages",
    "blobs": "attachments",
    "versions": "versions of flows",
    "state": "keys of its flows' state",
    "secrets": "secrets",
    "timers": "paused timers",
    "leases": "leases of its workers",
    "deployments": "records of its deployment",
    "api_keys": "API keys",
    "key_uses": "last uses of API keys",
    "logins": "logins to NATS",
    "audit": "entries of the audit log",
    "tenants": "its record, or its tombstone",
}


def inventory_command(
    tenant: TenantArgument,
    *,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count what there is of a tenant in every store, deleted keys that are remembered included."""
    check_token(tenant, "tenant")
    where = chosen_env(env, os.environ)
    settings = bus_settings(nats_url, data, os.environ)

    async def count() -> Inventory:
        async with connected(settings) as bus:
            return await TenantStores(bus, where).inventory(tenant)

    found = asyncio.run(count())
    if as_json:
        print_json({"tenant": tenant, "env": where, **found.as_mapping()})
        return
    for line in inventory_lines(tenant, found):
        say(line)


def inventory_lines(tenant: str, found: Inventory) -> list[str]:
    """Write an inventory for people: what there is, and what outlives the tenant."""
    head = "nothing that an erasure removes" if found.is_empty else "in the stores"
    lines = [f"tenant {tenant}: {head}"]
    lines += [
        f"  {_LABELS.get(store, store):<34}{count:>10,}" for store, count in found.found.items()
    ]
    kept = {store: count for store, count in found.kept.items() if count}
    if kept:
        lines.append("kept after a deletion")
        lines += [f"  {_LABELS.get(store, store):<34}{count:>10,}" for store, count in kept.items()]
    return lines
