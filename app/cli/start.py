"""``start``: run a bundle until a signal ends it.

In: a bundle's folder and flags. Out: a running program; when it is ready, one line on standard
output says where it listens (one JSON document with ``--json``). Refuses what this version lacks.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvloop

from app.bootstrap.options import StartOptions, build_options
from app.bootstrap.program import Program
from app.bundle.reading import MANIFEST_NAMES
from app.cli.output import print_json, say
from app.errors import CommandError
from app.history.projection.claim import shown_url
from app.observability.logs import configure_logging
from app.settings.loading import load_settings
from app.settings.sections import Settings

SETTINGS_FILE: Final = "greentic.toml"
TENANTS_SHOWN: Final = 10


def start_command(
    bundle: Annotated[
        Path | None,
        typer.Argument(
            help="The bundle's folder; without one, what others have deployed is run.",
            show_default="this folder, where it is a bundle",
        ),
    ] = None,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address for webhooks.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port for webhooks; 0 takes a free one.", show_default="8080")
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(help="on: start a nats-server; off: use nats.url.", metavar="on|off"),
    ] = None,
    nats_url: Annotated[
        str | None, typer.Option(help="Where NATS is, instead of a server of our own.")
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(help="What this process does.", show_default="ingress,worker,history"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; this version has 1.")] = 1,
    admin: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of /metrics.", show_default="127.0.0.1:8081"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the nats-server's store.", show_default="BUNDLE/.greentic"),
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Emulate SendGrid, Twilio and SMTP on this machine.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as JSON.")] = False,
) -> None:
    """Run a bundle: take events in, run its flows, publish their results.

    Ends on SIGTERM or Ctrl-C after what is under way has finished; SIGHUP, or a change of the
    bundle's files, brings the bundle into force anew.
    """
    if workers != 1:
        raise CommandError("more than one worker process per start is not in this version")
    flags = {
        "server.host": host,
        "server.port": port,
        "server.roles": None if roles is None else tuple(roles.split(",")),
        "server.admin": admin,
        "server.data_dir": None if data is None else str(data),
        "nats.embedded": _switch(nats),
        "nats.url": nats_url,
    }
    options, settings = _chosen(bundle or _bundle_here(), flags, has_data=data is not None)
    uvloop.run(_run(replace(options, is_dev=dev), settings, as_json=as_json))


def _chosen(
    bundle: Path | None, flags: dict[str, Any], *, has_data: bool
) -> tuple[StartOptions, Settings]:
    """Merge the flags with the settings, and begin to log."""
    settings_path = (bundle or Path()) / SETTINGS_FILE
    toml_path = settings_path if settings_path.is_file() else None
    settings = load_settings(toml_path, os.environ, flags)
    configure_logging(settings.logging.level, settings.logging.format)
    if bundle is None and settings.nats.is_embedded and not has_data:
        hint = "name a bundle's folder, a data folder with --data, or a server with --nats-url"
        raise CommandError("this folder is no bundle: there is nothing to run", hint=hint)
    return build_options(settings, bundle, dict(os.environ)), settings


def _bundle_here() -> Path | None:
    """Give this folder, if it is a bundle."""
    is_bundle = any(Path(name).is_file() for name in MANIFEST_NAMES)
    return Path() if is_bundle else None


def _switch(nats: str | None) -> bool | None:
    if nats not in (None, "on", "off"):
        raise CommandError(f"--nats takes on or off, not {nats!r}")
    return None if nats is None else nats == "on"


async def _run(options: StartOptions, settings: Settings, *, as_json: bool) -> None:
    program = Program(options)
    await program.start()
    try:
        _announce(_whereabouts(program, options, settings), as_json=as_json)
        await program.wait_ended()
    finally:
        await program.stop()


def _whereabouts(program: Program, options: StartOptions, settings: Settings) -> dict[str, Any]:
    bundle, served = program.bundle, program.served()
    return {
        "status": "ready",
        "url": None if program.public is None else program.public.url,
        "admin": None if program.admin is None else program.admin.url,
        "nats": program.nats_url,
        "emulators": program.emulators_url,
        "history": None if options.history is None else shown_url(options.history.url),
        "data": str(options.data_dir) if options.bus is None else None,
        "env": settings.env,
        "pid": os.getpid(),
        "bundle": None if bundle is None else bundle.name,
        "tenants": sorted(served),
        "flows": sum(served.values()),
    }


def _announce(where: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(where, indent=None)
        return
    tenants = _shortened(where["tenants"])
    what = where["bundle"] or "what is deployed"
    say(f"greentic-events runs {what}: {where['flows']} flows, tenants {tenants}")
    if where["url"] is not None:
        say(f"  webhooks  {where['url']}/events/webhook/TENANT/EVENT_TYPE")
    say(f"  admin     {where['admin']}/metrics")
    credentials = "" if where["data"] is None else f"  (credentials in {where['data']}/nats.json)"
    if where["emulators"] is not None:
        say(f"  emulators {where['emulators']}  (greentic-events outbox list)")
    say(f"  nats      {where['nats']}{credentials}")
    if where["history"] is not None:
        say(f"  history   {where['history']}")
    say("Ctrl-C ends it.")


def _shortened(tenants: Sequence[str]) -> str:
    if len(tenants) <= TENANTS_SHOWN:
        return ", ".join(tenants) or "none yet"
    return f"{', '.join(tenants[:TENANTS_SHOWN])} and {len(tenants) - TENANTS_SHOWN} more"
