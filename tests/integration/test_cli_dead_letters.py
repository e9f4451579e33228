"""`dead-letter` on a real server: what it says, what it does, what it refuses."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.ports import DeadLetter
from app.bus.server_folder import Endpoint
from app.cli.exit_codes import FAILED, OK, UNAVAILABLE, USAGE
from app.cli.main import run
from app.control import names
from tests.support.bus_rig import TENANT, a_rig
from tests.support.letters import a_letter, park_all

pytestmark = pytest.mark.server

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    nats_server: Endpoint,
    fresh_env: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a command for the tenant, and give its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENTIC_ENV", fresh_env)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    address = f"{nats_server.user}:{nats_server.password}@127.0.0.1:{nats_server.port}"
    monkeypatch.setenv("GREENTIC_NATS_URL", f"nats://{address}")

    def call(*arguments: str, tenant: str = TENANT) -> tuple[int, str, str]:
        code = run(["dead-letter", *arguments, "--tenant", tenant])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def park(nats_server: Endpoint, fresh_env: str) -> Callable[..., None]:
    async def work(letters: tuple[DeadLetter, ...]) -> None:
        async with a_rig(nats_server, fresh_env) as rig:
            await park_all(rig, letters)

    return lambda *letters: asyncio.run(work(letters))


def work_of(endpoint: Endpoint, env: str) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with a_rig(endpoint, env) as rig:
            return [document for _, _, document in await rig.stored(names.work_stream(env, 0))]

    return asyncio.run(read())


def test_letters_are_listed_newest_first_page_by_page(
    command: Command, park: Callable[..., None]
) -> None:
    park(*map(a_letter, range(7)))
    code, out, err = command("list", "--limit", "3")
    assert (code, [line.split()[2] for line in out.splitlines()[::2]]) == (OK, ["r6", "r5", "r4"])
    assert "1970-01-01 00:00:01Z  r6  flow0  http.timeout  order.t1 e6" in out
    assert "at call: no answer" in out
    after = err.split()[-1]
    code, out, _ = command("list", "--limit", "3", "--after", after, "--json")
    document = json.loads(out)
    assert [each["letter_id"] for each in document["letters"]] == ["r3", "r2", "r1"]
    assert "payload" not in out
    code, out, _ = command("list", "--oldest-first", "--flow", "flow1", "--json")
    assert [each["letter_id"] for each in json.loads(out)["letters"]] == ["r1", "r3", "r5"]
    assert json.loads(out)["next_after"] is None
    code, out, err = command("list", "--since", "2h")
    assert (code, out) == (OK, "")
    assert "no such dead letters" in err


def test_show_tells_all_and_hides_control_characters(
    command: Command, park: Callable[..., None]
) -> None:
    park(a_letter(1, path=("load", "call"), flow_version="1.2", reason="\x1b[31mred"))
    code, out, _ = command("show", "r1")
    assert code == OK
    assert "\x1b" not in out
    for part in ("letter    r1", "load > call", "flow1 1.2, trigger 1", '"n": 1', "attempt 3"):
        assert part in out
    _, out, _ = command("show", "r1", "--json")
    assert json.loads(out)["event"]["payload"] == {"n": 1}
    code, out, err = command("show", "nobody")
    assert (code, out) == (FAILED, "")
    assert "no dead letter 'nobody'" in err
    assert "dead-letter list" in err


def test_replay_of_named_letters_starts_their_runs(
    command: Command, park: Callable[..., None], nats_server: Endpoint, fresh_env: str
) -> None:
    park(*map(a_letter, range(3)))
    code, out, _ = command("replay", "r1", "nobody", "--json")
    report = json.loads(out)
    assert (code, report["done"], report["failed"]) == (FAILED, 1, 1)
    assert report["failures"] == [{"letter_id": "nobody", "why": "there is no such letter"}]
    [waiting] = work_of(nats_server, fresh_env)
    assert (waiting["flow"], waiting["trigger"], waiting["attempt"]) == ("flow1", 1, 1)
    code, out, _ = command("list", "--json")
    assert [each["letter_id"] for each in json.loads(out)["letters"]] == ["r2", "r0"]


def test_many_letters_are_changed_only_after_a_yes(
    command: Command, park: Callable[..., None], nats_server: Endpoint, fresh_env: str
) -> None:
    park(*map(a_letter, range(6)), a_letter(9, event=None, flow=None, reason="no_event"))
    for verb in ("replay", "discard"):
        code, _, err = command(verb)
        assert code == FAILED
        assert "--yes" in err
    code, out, _ = command("replay", "--dry-run")
    assert (code, out.splitlines()[0]) == (OK, "6 of 7 letters would be replayed")
    assert work_of(nats_server, fresh_env) == []
    code, out, _ = command("replay", "--yes", "--limit", "4", "--rate", "1000")
    assert out.splitlines() == [
        "4 of 4 letters replayed",
        "there are more: run it again, or with --all",
    ]
    code, out, _ = command("replay", "--yes", "--all", "--rate", "1000")
    assert (code, out.splitlines()) == (
        OK,
        ["2 of 3 letters replayed", "1 cannot be replayed: they have no event or no flow"],
    )
    assert len(work_of(nats_server, fresh_env)) == 6
    code, out, _ = command("discard", "--reason", "no_event", "--yes")
    assert (code, out) == (OK, "1 of 1 letters discarded\n")


def test_stat_counts_by_flow_and_reason(command: Command, park: Callable[..., None]) -> None:
    park(*map(a_letter, range(8)), a_letter(9, event=None, flow=None, reason="no_event"))
    code, out, _ = command("stat")
    assert code == OK
    assert out.splitlines()[0].split() == ["2", "flow0", "http.timeout"]
    assert out.splitlines()[-1].split() == ["9", "in", "all"]
    _, out, _ = command("stat", "--json")
    document = json.loads(out)
    assert (document["total"], document["complete"]) == (9, True)
    assert {"flow": None, "reason": "no_event", "letters": 1} in document["by_flow_and_reason"]


def test_another_tenant_sees_and_changes_nothing(
    command: Command, park: Callable[..., None]
) -> None:
    park(*map(a_letter, range(3)))
    code, out, err = command("list", tenant="other")
    assert (code, out) == (OK, "")
    assert "other has no dead letters" in err
    assert command("show", "r1", tenant="other")[0] == FAILED
    assert command("show", "@1", tenant="other")[0] == FAILED
    assert command("discard", "r1", "@2", "--yes", tenant="other")[0] == FAILED
    assert json.loads(command("stat", "--json")[1])["total"] == 3
    for name in ("*", ">", "a.b"):
        assert command("list", tenant=name)[0] == FAILED


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "--since", "yesterday"), FAILED, "like 30m, 2h or 7d"),
        (("list", "--limit", "5000"), USAGE, "--limit"),
        (("replay", "r1", "--flow", "x"), FAILED, "not both"),
        (("replay", "--rate", "0"), USAGE, "--rate"),
        (("list", "--env", "nowhere"), FAILED, "no dead letters of an env 'nowhere'"),
        (("list", "--nats-url", "nats://127.0.0.1:1"), UNAVAILABLE, "NATS"),
    ],
    ids=["time", "limit", "both", "rate", "env", "server"],
)
def test_what_cannot_be_done_is_said_with_a_way_out(
    command: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    answered, _, err = command(*arguments)
    assert answered == code
    assert said in err
