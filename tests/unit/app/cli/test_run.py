"""`run cancel`, as far as it goes without a server; `tests/e2e` has the rest."""

import json

import pytest

from app.cli.exit_codes import UNAVAILABLE
from app.cli.main import run

NOBODY = "nats://u:p@127.0.0.1:1"


@pytest.mark.parametrize("run_id", ["a.b", "*", ">", "", "x" * 129, "a b"])
def test_what_is_no_run_is_refused_before_anybody_is_asked(
    run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["run", "cancel", run_id, "--tenant", "demo", "--nats-url", NOBODY, "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (code, error["code"]) == (1, "cli.refused")


def test_a_tenant_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "cancel", "abc", "--nats-url", NOBODY]) == 2
    assert "--tenant" in capsys.readouterr().err


def test_nobody_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["run", "cancel", "abc", "--tenant", "demo", "--nats-url", NOBODY, "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (code, error["code"]) == (UNAVAILABLE, "actors.unavailable")
