"""``greentic-events outbox …``: what the emulators were given to send, and what comes in by them.

In: a running ``start --dev``, by its data folder. Out: messages that were sent; what our ingress
said of one that was made up. Refuses attachments that cannot be read or are too large.
"""

import base64
import mimetypes
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import typer

from app.cli.emulator_calls import emulator_calls
from app.cli.exit_codes import REFUSED
from app.cli.output import print_json, say, warn
from app.errors import CommandError

ATTACHMENT_BYTES_MAX: Final = 20 * 1024 * 1024
LINE_CHARS_MAX: Final = 60

BundleOption = Annotated[
    Path, typer.Option("--bundle", help="The bundle that 'start --dev' runs: its folder.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Data folder with emulators.json: BUNDLE/.greentic.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Whose message it is.")]
HERE: Final = Path()


def outbox_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(
        help="See what was sent while developing, and receive messages.", no_args_is_help=True
    )
    app.command("list")(list_messages)
    app.command("show")(show_message)
    receive = typer.Typer(
        help="Receive a message as if somebody had sent it.", no_args_is_help=True
    )
    receive.command("sms")(receive_sms)
    receive.command("email")(receive_email)
    app.add_typer(receive, name="receive")
    return app


def list_messages(
    *,
    kind: Annotated[
        Literal["email", "sms"] | None, typer.Option("--kind", help="Only email, or only sms.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many.")] = 20,
    bundle: BundleOption = HERE,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was sent, the newest first."""
    query = {"count": str(count), **({} if kind is None else {"kind": kind})}
    found = emulator_calls(bundle, data, os.environ).get("/outbox", query)
    if as_json:
        print_json(found)
        return
    for message in found["messages"]:
        say(_line(message))
    if not found["messages"]:
        warn("nothing was sent")
    if found["dropped"]:
        warn(f"{found['dropped']} older ones are gone: the outbox keeps the newest only")


def show_message(
    message_id: Annotated[str, typer.Argument(help="Its id, as listed.")],
    *,
    bundle: BundleOption = HERE,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message that was sent, and what became of it."""
    path = f"/outbox/{quote(message_id, safe='')}"
    message = emulator_calls(bundle, data, os.environ).get(path)
    if as_json:
        print_json(message)
        return
    say(f"{message['kind']} {message['id']} by {message['via']} at {_time(message['at_ms'])}")
    say(f"from: {message['from']}")
    say(f"to: {', '.join(message['to'])}")
    for name in ("subject", "body", "html"):
        if message[name]:
            say(f"{name}: {message[name]}")
    for each in message["attachments"]:
        say("attachment: " + ", ".join(f"{key} {value}" for key, value in each.items()))
    for note in message["notes"]:
        say(f"then: {note}")


def receive_sms(
    body: Annotated[str, typer.Argument(help="The text.")],
    *,
    sender: Annotated[str, typer.Option("--from", help="Who sends it.")] = "+14155550123",
    to: Annotated[
        str | None, typer.Option("--to", help="The number it is sent to; else from_number.")
    ] = None,
    media: Annotated[
        list[str] | None, typer.Option("--media", help="URL of a picture; may be repeated.")
    ] = None,
    tenant: TenantOption = "demo",
    bundle: BundleOption = HERE,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Receive a text message; shows what the flow answers."""
    document = {"tenant": tenant, "from": sender, "body": body, "media": media or []}
    if to is not None:
        document["to"] = to
    answer = emulator_calls(bundle, data, os.environ).post("/receive/sms", document)
    _show_answer(answer, as_json=as_json)


def receive_email(
    text: Annotated[str, typer.Argument(help="The text.")] = "",
    *,
    sender: Annotated[str, typer.Option("--from", help="Who sends it.")] = "someone@example.com",
    to: Annotated[
        str | None, typer.Option("--to", help="The address it is sent to; else from_email.")
    ] = None,
    subject: Annotated[str, typer.Option("--subject", help="The subject.")] = "",
    html: Annotated[str, typer.Option("--html", help="The same as HTML.")] = "",
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A file; may be repeated.")
    ] = None,
    tenant: TenantOption = "demo",
    bundle: BundleOption = HERE,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Receive a mail, as SendGrid's Inbound Parse posts it."""
    document: dict[str, Any] = {"tenant": tenant, "from": sender, "subject": subject}
    document |= {"text": text, "html": html}
    document["attachments"] = [_attachment(path) for path in attach or []]
    if to is not None:
        document["to"] = to
    answer = emulator_calls(bundle, data, os.environ).post("/receive/email", document)
    _show_answer(answer, as_json=as_json)


def _show_answer(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    elif answer["accepted"]:
        warn(f"accepted: {answer.get('message_sid') or answer.get('event_id') or answer['status']}")
        for text in answer.get("messages", []):
            say(text)
    else:
        warn(f"refused: {answer['status'] or 'no answer'} {answer['body']}", style="red")
    if not answer["accepted"]:
        raise typer.Exit(REFUSED)


def _line(message: dict[str, Any]) -> str:
    to = message["to"][0] if message["to"] else "nobody"
    others = f" +{len(message['to']) - 1}" if len(message["to"]) > 1 else ""
    text = message["excerpt"][:LINE_CHARS_MAX]
    return f"{message['id']}  {_time(message['at_ms'])}  {message['kind']}  {to}{others}  {text}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _attachment(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            content = file.read(ATTACHMENT_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > ATTACHMENT_BYTES_MAX:
        raise CommandError(f"{path} is larger than {ATTACHMENT_BYTES_MAX} bytes")
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    encoded = base64.b64encode(content).decode()
    return {"filename": path.name, "content": encoded, "type": media_type}
