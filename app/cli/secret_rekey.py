"""``greentic-events secret rekey``: every stored secret sealed anew with the current key.

In: the keys, the current one first. Out: what was sealed anew, what cannot be opened, and which
keys no secret needs any more. Ends with 1 where something is left to do. No value and no key is
shown; a key goes by its id. One entry of the audit log stands for the whole.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.audit.log import Change
from app.cli.auditing import audit_on, cli_who
from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say, warn
from app.cli.vault import find_whereabouts, open_secret_records
from app.control.names import secrets_bucket
from app.stores.kv import KvBucket
from app.stores.rekeying import Progress, Rekeying, RekeyReport
from app.stores.sealing import Keyring

PROGRESS_EVERY: Final = 500
"""Records between two lines of progress."""
SHOWN_MAX: Final = 50
"""Records that cannot be opened and are named to people; ``--json`` names more."""


def secret_rekey(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic."),
    ] = None,
    nats_url: Annotated[
        str | None,
        typer.Option("--nats-url", help="NATS server, nats://user:password@host:port."),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seal all secrets anew with the first of the keys; the others need only open.

    Safe while the program runs, if every process has the first key already. What was interrupted
    goes on where it was when started again.
    """
    where = find_whereabouts(nats_url, data, env, os.environ)
    keys = where.keys.for_opening()

    async def rekey() -> RekeyReport:
        async with open_secret_records(where) as bus, AsyncExitStack() as stack:
            if not dry_run:
                audit = await stack.enter_async_context(audit_on(bus, where.env))
                change = Change("secret.rekey", None, "*", after={"key": _ids(keys)[0]})
                await stack.enter_async_context(audit.change(cli_who(), change))
            bucket = KvBucket(bus, secrets_bucket(where.env))
            return await Rekeying(bucket, where.env, keys, is_dry_run=dry_run).run(_teller())

    report = asyncio.run(rekey())
    if as_json:
        print_json({"env": where.env, **_document(report, keys)})
    else:
        _tell(report, keys)
    if report.unopened_count or not (report.is_complete or dry_run):
        raise typer.Exit(FAILED)


def _teller() -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.done % PROGRESS_EVERY == 0:
            warn(f"{progress.done} of {progress.records} secrets")

    return tell


def _document(report: RekeyReport, keys: Keyring) -> dict[str, Any]:
    return {
        "is_dry_run": report.is_dry_run,
        "current_key": report.current_key,
        "records": report.records,
        "resealed": report.resealed,
        "already_current": report.already_current,
        "is_complete": report.is_complete,
        "unopened_count": report.unopened_count,
        "unopened": [
            {"tenant": one.tenant, "name": one.name, "reason": one.reason}
            for one in report.unopened
        ],
        "keys": [
            {
                "id": key_id,
                "records": report.sealed_with.get(key_id, 0),
                "may_be_removed": _may_be_removed(report, key_id),
            }
            for key_id in _ids(keys)
        ],
    }


def _tell(report: RekeyReport, keys: Keyring) -> None:
    verb = "would be sealed anew" if report.is_dry_run else "sealed anew"
    say(
        f"{report.resealed} {verb} with key {report.current_key}, {report.already_current} were"
        f" already, {report.unopened_count} cannot be opened"
    )
    for one in report.unopened[:SHOWN_MAX]:
        warn(f"{one.tenant} {one.name}: {one.reason}")
    if report.unopened_count > SHOWN_MAX:
        warn(f"and {report.unopened_count - SHOWN_MAX} more; --json names them")
    for key_id in _ids(keys):
        if key_id == report.current_key:
            continue
        if _may_be_removed(report, key_id):
            say(f"key {key_id} may be removed once every process seals with {report.current_key}")
        else:
            say(f"key {key_id} is still needed for {report.sealed_with[key_id]} secrets")


def _may_be_removed(report: RekeyReport, key_id: str) -> bool:
    return key_id != report.current_key and not report.sealed_with.get(key_id)


def _ids(keys: Keyring) -> list[str]:
    return [key.key_id.hex() for key in keys.keys]
