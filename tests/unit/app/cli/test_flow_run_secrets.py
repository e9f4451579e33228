"""`flow run --secret-env`: secrets from variables, for a flow that is tried out."""

from pathlib import Path

import pytest

from app.cli.exit_codes import FAILED
from app.cli.main import run

CANARY = "canary-7f3a-9c"
FLOW = """
name: calling
version: "1"
triggers: [{type: event, event_type: order.created, target: call}]
nodes:
  - id: call
    type: http
    config: {url: "{{secrets.API_KEY}}"}
"""


@pytest.fixture
def flow(tmp_path: Path) -> str:
    path = tmp_path / "calling.ygtc"
    path.write_text(FLOW)
    return str(path)


def test_secret_is_missing_unless_a_variable_gives_it(
    flow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["flow", "run", flow, "--json"]) == FAILED
    assert "secret.missing" in capsys.readouterr().out


def test_variable_is_the_secret_and_is_not_shown(
    flow: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", CANARY)
    assert run(["flow", "run", flow, "--secret-env", "API_KEY", "--json"]) == FAILED
    shown = "".join(capsys.readouterr())
    assert "http.bad_request" in shown, "it got past the secret: this is no address"
    assert CANARY not in shown


def test_unset_variable_is_refused(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flow", "run", flow, "--secret-env", "NOT_SET_AT_ALL"]) == FAILED
    assert "NOT_SET_AT_ALL" in capsys.readouterr().err
