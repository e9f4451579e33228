"""``greentic-events event …``: send events and watch them go by.

In: tenant, event type, payload. Out: the acknowledgement, or what is heard on the bus. Refuses
payloads that are no JSON, and names that are no tokens, before anything is sent.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from actors.errors import InvalidEventError
from app.bus.codec import decode_json
from app.cli.connecting import bus_settings, chosen_env
from app.cli.event_filter import EventFilter, Where
from app.cli.exit_codes import REFUSED
from app.cli.output import print_json, say, warn
from app.cli.reach import InsecureOption, KeyFileOption, KeyOption, Reach
from app.cli.sending import (
    SendRequest,
    Sent,
    send_over_api,
    send_over_http,
    send_over_nats,
)
from app.cli.tailing import TailRequest, tail_events
from app.errors import CommandError

URL_DEFAULT: Final = "http://127.0.0.1:8080"
SECRET_HEADER_DEFAULT: Final = "x-webhook-signature"  # noqa: S105 - a header name, no secret
PAYLOAD_BYTES_MAX: Final = 768 * 1024

TenantArgument = Annotated[str, typer.Argument(help="The tenant, like demo.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with nats.json: BUNDLE/.greentic.")
]
NatsOption = Annotated[
    str | None, typer.Option("--nats-url", help="NATS server, nats://user:password@host:port.")
]
EnvOption = Annotated[str | None, typer.Option("--env", help="The env; GREENTIC_ENV, else dev.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def event_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Send events and watch them go by.", no_args_is_help=True)
    app.command("send")(send)
    app.command("tail")(tail)
    return app


def send(
    tenant: TenantArgument,
    event_type: Annotated[str, typer.Argument(help="Its type, like order.created.")],
    payload: Annotated[str, typer.Argument(help="JSON; @FILE reads a file, - reads stdin.")] = "{}",
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Where greentic-events listens for webhooks; with an API key its admin address.",
            show_default=URL_DEFAULT,
        ),
    ] = None,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", help="Sign with this secret_key; $NAME reads the environment."),
    ] = None,
    secret_header: Annotated[
        str, typer.Option("--secret-header", help="The bundle's secret_header.")
    ] = SECRET_HEADER_DEFAULT,
    key: KeyOption = None,
    key_file: KeyFileOption = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send one event and show what comes back.

    It goes over HTTP like any webhook, and a flow's answer is shown; with --data or --nats-url
    it goes straight onto the bus, and with --key or --key-file through the API.
    """
    body = _payload_bytes(payload)
    request = SendRequest(
        tenant=tenant,
        event_type=event_type,
        body=body,
        payload=decode_json(body, "payload"),
        secret=_expanded(secret),
        secret_header=secret_header,
    )
    request.check()
    sent = _sent(Reach(data, nats_url, env, url, key, key_file, insecure), request)
    _show(sent, as_json=as_json)


def tail(
    tenant: TenantArgument,
    pattern: Annotated[
        str, typer.Argument(help="Event types: order.created, order.*, or > for all.")
    ] = ">",
    *,
    results: Annotated[
        bool, typer.Option("--results", help="Show the results of runs too.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="Only from this source, like webhook.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", help="Only where this condition holds, like 'payload.total > 100'."
        ),
    ] = None,
    correlation: Annotated[
        str | None, typer.Option("--correlation", help="Only with this correlation id.")
    ] = None,
    grep: Annotated[
        str | None, typer.Option("--grep", help="Only with this text, in whatever case.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=0, help="End after so many; 0: never.")] = 0,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", min=0, help="End after so many seconds; 0: never.")
    ] = 0,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's events as they happen; Ctrl-C ends it.

    With --json each is one line. What was stored before is not shown. With --count the exit code
    is 1 when the time is over before so many were seen. Filters choose events: of results those of
    the events that were shown are shown. --where sees what a trigger's filter sees.
    """
    request = TailRequest(
        env=chosen_env(env, os.environ),
        tenant=tenant,
        pattern=pattern,
        with_results=results,
        count_max=count,
        timeout_seconds=timeout_seconds,
    )
    wanted = EventFilter(
        Where(request.env, tenant),
        source=source,
        correlation=correlation,
        grep=grep,
        condition=where,
    )
    settings = bus_settings(nats_url, data, os.environ)
    seen = asyncio.run(tail_events(settings, request, wanted, as_json=as_json))
    if seen < count:
        raise CommandError(f"saw {seen} of {count} within {timeout_seconds:g} s")


def _sent(reach: Reach, request: SendRequest) -> Sent:
    """Send it on the way that was named; a webhook where none was."""
    if reach.names_nats and reach.api() is None:
        return asyncio.run(send_over_nats(reach.bus(), reach.bus_env, request))
    if not reach.names_key and (reach.url is not None or reach.api() is None):
        return send_over_http(reach.url or URL_DEFAULT, request)
    if request.secret is not None:
        raise CommandError("--secret signs webhooks: the API takes a key instead")
    return send_over_api(reach.surely_api(), request)


def _show(sent: Sent, *, as_json: bool) -> None:
    if as_json:
        print_json(sent.as_document())
    elif sent.is_accepted:
        text = sent.text
        if sent.event_id is not None:
            warn(f"accepted: {sent.event_id}{' (had it already)' if sent.is_duplicate else ''}")
        if text:
            say(text)
    else:
        warn(f"refused: {sent.status} {sent.text}", style="red")
    if not sent.is_accepted:
        raise typer.Exit(REFUSED)


def _payload_bytes(payload: str) -> bytes:
    if payload == "-":
        content = sys.stdin.buffer.read(PAYLOAD_BYTES_MAX + 1)
    elif payload.startswith("@"):
        content = _file_bytes(Path(payload[1:]))
    else:
        content = payload.encode("utf-8", "surrogateescape")
    if len(content) > PAYLOAD_BYTES_MAX:
        raise InvalidEventError("payload", f"is larger than {PAYLOAD_BYTES_MAX} bytes")
    return content


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(PAYLOAD_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None


def _expanded(secret: str | None) -> str | None:
    """Read ``$NAME`` from the environment, so that a secret need not stand in shell history."""
    if secret is None or not secret.startswith("$"):
        return secret
    value = os.environ.get(secret[1:])
    if not value:
        raise CommandError(f"the environment variable {secret[1:]} is not set")
    return value
