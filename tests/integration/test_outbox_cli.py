"""``greentic-events outbox`` against emulators that run."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actors.outcomes import Answer
from app.cli.exit_codes import FAILED, OK, REFUSED, UNAVAILABLE, USAGE
from app.cli.main import run
from app.emulators.access import EmulatorAccess, write_access
from app.emulators.outbox import EMAIL, OutboxMessage
from tests.support.emulators import EmulatorRig, emulator_rig


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[EmulatorRig]:
    async with emulator_rig(tmp_path / ".greentic") as started:
        yield started


class Prompt:
    """Runs commands and keeps what they said."""

    def __init__(self, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._bundle = bundle
        self._capsys = capsys
        self.out = self.err = ""

    async def run(self, *arguments: str) -> int:
        code = await asyncio.to_thread(run, ["outbox", *arguments, "--bundle", str(self._bundle)])
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Prompt:
    return Prompt(tmp_path, capsys)


def a_message(number: int = 1, **more: Any) -> OutboxMessage:
    fields: dict[str, Any] = {
        "to": ("zoe@example.com", "b@c.org"),
        "subject": "[bold]Größe[/bold]",
        **more,
    }
    return OutboxMessage(
        f"m{number}", EMAIL, "smtp", 1_700_000_000_000, "dev@example.org", **fields
    )


async def test_messages_are_listed(rig: EmulatorRig, prompt: Prompt) -> None:
    assert await prompt.run("list") == OK
    assert "nothing was sent" in prompt.err
    for number in range(3):
        rig.emulators.outbox.add(a_message(number))
    assert await prompt.run("list", "--count", "2") == OK
    lines = prompt.out.splitlines()
    assert [line.split()[0] for line in lines] == ["m2", "m1"]
    assert "2023-11-14 22:13:20Z  email  zoe@example.com +1  [bold]Größe[/bold]" in lines[0]
    assert await prompt.run("list", "--kind", "sms", "--json") == OK
    assert prompt.json == {"messages": [], "kept": 3, "dropped": 0}
    assert await prompt.run("list", "--kind", "fax") == USAGE


async def test_one_message_is_shown(rig: EmulatorRig, prompt: Prompt) -> None:
    attachments = [{"filename": "a.txt", "bytes": 5}]
    rig.emulators.outbox.add(a_message(body="text", attachments=attachments, notes=["sent: ok"]))
    assert await prompt.run("show", "m1") == OK
    for part in (
        "by smtp",
        "to: zoe@example.com, b@c.org",
        "body: text",
        "filename a.txt",
        "then: sent: ok",
    ):
        assert part in prompt.out
    assert await prompt.run("show", "m1", "--json") == OK
    assert prompt.json["body"] == "text"
    assert await prompt.run("show", "m9") == REFUSED
    assert "no such message" in prompt.err


async def test_a_text_message_is_received(rig: EmulatorRig, prompt: Prompt) -> None:
    rig.ingress.door.flows = 1
    rig.ingress.inbox.messages.append(Answer(200, body="It left on Monday"))
    media = "https://x.org/a.png"
    assert await prompt.run("receive", "sms", "where is it?", "--media", media) == OK
    assert prompt.out == "It left on Monday\n"
    assert "accepted: MM" in prompt.err
    assert rig.events[0].payload["body"] == "where is it?"
    assert await prompt.run("receive", "sms", "x", "--tenant", "nobody", "--json") == REFUSED
    assert prompt.json["status"] == 404
    assert await prompt.run("receive", "sms", "x", "--from", "?") == FAILED
    assert "from: must be a number" in prompt.err


async def test_a_mail_is_received(rig: EmulatorRig, prompt: Prompt, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1,2")
    arguments = ["receive", "email", "hello", "--subject", "Hi", "--to", "in@example.org"]
    assert await prompt.run(*arguments, "--attach", str(file)) == OK
    assert "accepted: E1" in prompt.err
    told = json.dumps(rig.events[0].payload)
    assert all(part in told for part in ("hello", "Hi", "in@example.org", "a.csv"))
    assert await prompt.run("receive", "email", "--attach", str(tmp_path / "none")) == FAILED
    assert "cannot read" in prompt.err


async def test_without_emulators_there_is_a_hint(
    tmp_path: Path, prompt: Prompt, unused_tcp_port: int
) -> None:
    assert await prompt.run("list") == FAILED
    assert "start --dev" in prompt.err
    access = EmulatorAccess(f"http://127.0.0.1:{unused_tcp_port}", "token")
    write_access(tmp_path / ".greentic", access)
    assert await prompt.run("list") == UNAVAILABLE
    assert "do not answer" in prompt.err


async def test_another_program_in_their_place_is_not_believed(
    rig: EmulatorRig, prompt: Prompt, tmp_path: Path
) -> None:
    write_access(tmp_path / ".greentic", EmulatorAccess(rig.url, "stale"))
    assert await prompt.run("list") == UNAVAILABLE
    write_access(tmp_path / ".greentic", EmulatorAccess(rig.ingress_url, "stale"))
    assert await prompt.run("list") != OK
