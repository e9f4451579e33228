"""``start --dev``: a bot that texts and mails, without an account anywhere."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import ROOT, RunningProgram, running_program, write_bundle

SMS_BOT = """
name: bot
version: "1"
triggers:
  - {type: event, event_type: twilio.sms.incoming, target: mail}
nodes:
  - id: mail
    type: event
    config:
      provider: events-email-sendgrid
      action: send
      to: boss@example.org
      subject: "SMS from {{payload.from}}"
      content: "{{payload.body}}"
    next: answer
  - {id: answer, type: http_response, config: {body: "You said {{payload.body}}"}, next: text}
  - id: text
    type: event
    config: {provider: events-sms-twilio, action: send, to: "{{payload.from}}", body: "later"}
    next: done
"""
MAIL_BOT = """
name: mailbot
version: "1"
triggers:
  - {type: event, event_type: email.received, target: forward}
nodes:
  - id: forward
    type: event
    config:
      provider: events-email-smtp
      action: send
      to: boss@example.org
      subject: "Fwd: {{payload.subject}}"
      html: "<p>{{payload.text}}</p>"
    next: done
"""


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[RunningProgram]:
    bundle = write_bundle(tmp_path / "bundle", {"bot": SMS_BOT, "mailbot": MAIL_BOT})
    async with running_program(bundle, tmp_path / "log", "--dev") as program:
        yield program


async def outbox(bundle: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "app.cli.main", "outbox", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, "--bundle", str(bundle), "--json", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return json.loads(said)


async def sent(bundle: Path, count: int) -> list[dict[str, Any]]:
    """Wait until so many messages were sent; the oldest first."""
    async with asyncio.timeout(30):
        while len(found := (await outbox(bundle, "list"))["messages"]) < count:
            await asyncio.sleep(0.1)
    return list(found[::-1])


async def test_a_text_message_is_answered_mailed_and_texted_back(
    bot: RunningProgram, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    heard = await outbox(bundle, "receive", "sms", "<hello> & more", "--from", "+14155550123")
    assert "You said <hello> & more" in json.dumps(heard)
    mail, text = await sent(bundle, 2)
    assert (mail["via"], mail["to"], mail["subject"]) == (
        "sendgrid",
        ["boss@example.org"],
        "SMS from +14155550123",
    )
    assert (text["via"], text["to"], text["excerpt"]) == ("twilio", ["+14155550123"], "later")
    log = (tmp_path / "log").read_text()
    assert "boss@example.org" not in log


async def test_a_mail_is_forwarded_by_smtp_and_its_html_escaped(
    bot: RunningProgram, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    await outbox(bundle, "receive", "email", "<b>Call</b> me", "--subject", "Help")
    (forwarded,) = await sent(bundle, 1)
    assert (forwarded["via"], forwarded["subject"]) == ("smtp", "Fwd: Help")
    shown = await outbox(bundle, "show", forwarded["id"])
    assert "&lt;b&gt;Call&lt;/b&gt; me" in json.dumps(shown)


async def test_emulators_are_not_for_prod(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"bot": SMS_BOT})
    command = [sys.executable, "-m", "app.cli.main", "start", str(bundle), "--dev", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=os.environ | {"GREENTIC_ENV": "prod"},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 3
    assert "not in env prod" in said.decode()
    assert not (bundle / ".greentic").exists()
