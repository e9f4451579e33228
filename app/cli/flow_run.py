"""``flow run``: run one flow for one event on this machine, without a bus.

In: a flow file or a bundle, an event or only its payload. Out: the run's way, its outcome, its
answer and what it would have published. HTTP nodes really call out. A failed run ends with 1.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.errors import InvalidEventError
from actors.events import Event, parse_event
from actors.flows.compiled import CompiledFlow
from actors.outcomes import Completed, Failed
from actors.testing.local import LocalRun, LocalWorld, run_locally
from actors.testing.secrets import MemorySecrets
from app.bootstrap.egress import build_policy
from app.bundle.inspecting import compiled_flows
from app.bundle.reading import find_bundle_root
from app.bus.codec import decode_json
from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say
from app.cli.start import SETTINGS_FILE
from app.errors import CommandError
from app.outbound import EgressPolicy, GuardedCaller
from app.settings.loading import load_settings
from app.system import SystemClock, UlidIds

EVENT_BYTES_MAX: Final = 1024 * 1024
_EVENT_FIELDS: Final = frozenset({"id", "event_type", "source", "timestamp", "payload"})


def flow_run(
    path: Annotated[Path, typer.Argument(help="A flow file or a bundle.")],
    *,
    event: Annotated[
        str,
        typer.Option(help="The event, or only its payload: JSON; @FILE reads a file, - stdin."),
    ] = "{}",
    event_type: Annotated[
        str | None,
        typer.Option("--type", help="Event type; by default the one the flow is triggered by."),
    ] = None,
    name: Annotated[str | None, typer.Option("--flow", help="Which flow of several.")] = None,
    tenant: Annotated[str, typer.Option(help="The tenant the flow runs for.")] = "demo",
    secret_env: Annotated[
        list[str] | None,
        typer.Option("--secret-env", help="Take secrets.NAME from the variable NAME; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run one flow for one event, here and now.

    Nothing is published and nothing is kept: emitted events are shown. HTTP nodes do call out.
    """
    flows = compiled_flows(path, environment=os.environ)
    flow = _choose(flows, name, path)
    given = _event(event, event_type, flow)
    secrets = {(tenant, item): _variable(item) for item in secret_env or ()}
    run = asyncio.run(_run(flow, flows, given, tenant, secrets, _policy(path)))
    document = _document(flow, given, run)
    if as_json:
        print_json(document)
    else:
        _show(document)
    if not isinstance(run.outcome, Completed):
        raise typer.Exit(FAILED)


async def _run(
    flow: CompiledFlow,
    flows: Mapping[str, CompiledFlow],
    event: Event,
    tenant: str,
    secrets: Mapping[tuple[str, str], str],
    policy: EgressPolicy,
) -> LocalRun:
    async with GuardedCaller(policy, clock=SystemClock()) as http:
        place = LocalWorld(
            "dev", tenant, http, SystemClock(), UlidIds(), secrets=MemorySecrets(secrets)
        )
        return await run_locally(flow, flows, event, place)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise CommandError(f"the environment variable {name} is not set")
    return value


def _policy(path: Path) -> EgressPolicy:
    """Take the grants of the bundle that the flow belongs to."""
    root = find_bundle_root(path)
    toml = None if root is None else root / SETTINGS_FILE
    is_there = toml is not None and toml.is_file()
    return build_policy(load_settings(toml if is_there else None, os.environ, {}).security)


def _choose(flows: Mapping[str, CompiledFlow], name: str | None, path: Path) -> CompiledFlow:
    names = ", ".join(flows) or "none that loads"
    if name is None and len(flows) != 1:
        raise CommandError(f"{path} has several flows or none: {names}", hint="name one: --flow")
    flow = next(iter(flows.values())) if name is None else flows.get(name)
    if flow is None:
        raise CommandError(f"{path} has no flow {name!r}", hint=f"it has {names}")
    return flow


def _event(text: str, event_type: str | None, flow: CompiledFlow) -> Event:
    """Read the event; a document without an event's fields is a payload."""
    document = decode_json(_bytes(text), "event")
    if isinstance(document, dict) and document.keys() >= _EVENT_FIELDS:
        return parse_event(document)
    chosen = event_type or _type_of(flow)
    if chosen is None:
        hint = "name the event's type: --type order.created"
        raise CommandError(f"{flow.name} is triggered by no single event type", hint=hint)
    return parse_event(
        {
            "id": UlidIds().event_id(),
            "event_type": chosen,
            "source": "api",
            "timestamp": SystemClock().now_ms(),
            "payload": document,
        }
    )


def _type_of(flow: CompiledFlow) -> str | None:
    patterns = (trigger.pattern for trigger in flow.triggers)
    exact = [p for p in patterns if p is not None and "*" not in p and ">" not in p]
    return exact[0] if exact else None


def _bytes(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read(EVENT_BYTES_MAX + 1)
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape")
    try:
        data = Path(text[1:]).read_bytes()
    except OSError as error:
        raise CommandError(f"{text[1:]}: {error.strerror or error}") from None
    if len(data) > EVENT_BYTES_MAX:
        raise InvalidEventError("event", f"is larger than {EVENT_BYTES_MAX} bytes")
    return data


def _document(flow: CompiledFlow, event: Event, run: LocalRun) -> dict[str, Any]:
    outcome = run.outcome
    document: dict[str, Any] = {
        "flow": flow.name,
        "version": flow.version,
        "event_id": event.id,
        "event_type": event.event_type,
        "status": "skipped" if outcome is None else type(outcome).__name__.lower(),
        "trigger": run.trigger,
        "path": list(run.path),
        "output": outcome.output if isinstance(outcome, Completed) else None,
        "error": outcome.error.as_mapping() if isinstance(outcome, Failed) else None,
        "answer": None,
        "emitted": [emitted.as_mapping() for emitted in run.emitted],
        "started": [{"flow": item.flow, "run_id": item.run_id} for item in run.started],
        "logged": [{"level": line.level, "message": line.message} for line in run.logged],
    }
    if run.answers:
        answer = run.answers[0]
        document["answer"] = {"status": answer.status, "body": answer.body}
    return document


def _show(document: dict[str, Any]) -> None:
    failed = document["status"] != "completed"
    say(
        f"{document['flow']} {document['version']}: {document['status']}",
        style="bold red" if failed else "bold green",
    )
    say(f"  way     {' → '.join(document['path']) or 'no node was taken'}")
    for line in document["logged"]:
        say(f"  log     {line['level']}: {line['message']}")
    for emitted in document["emitted"]:
        say(f"  event   {emitted['event_type']} {emitted['payload']}")
    for started in document["started"]:
        say(f"  starts  {started['flow']}")
    if document["answer"] is not None:
        say(f"  answer  {document['answer']['status']} {document['answer']['body']}")
    if document["error"] is not None:
        error = document["error"]
        say(f"  error   {error['code']} at {error['node']}: {error['message']}")
    elif not failed:
        say(f"  output  {document['output']}")
