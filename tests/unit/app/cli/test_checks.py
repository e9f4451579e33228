"""The machine's checks: what they see, and that no secret is shown."""

import socket
from pathlib import Path

import pytest

from app.bus.server_folder import Endpoint, ServerFolder
from app.cli import checks as checks_module
from app.cli.checks import Check, MachineReport, check_machine

FREE = {"GREENTIC_PORT": "0", "GREENTIC_ADMIN": "127.0.0.1:0"}


def by_name(report: MachineReport) -> dict[str, Check]:
    return {check.name: check for check in report.checks}


def test_a_fresh_machine_is_ready(tmp_path: Path) -> None:
    report = check_machine(tmp_path, FREE)
    assert report.is_ready
    found = by_name(report)
    assert found["data folder"].detail.endswith("will be made")
    assert found["port"].detail == "any free one"
    assert found["nats-server"].status == "ok"
    assert report.settings["server"]["port"] == 0


def test_a_taken_port_is_a_warning(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        report = check_machine(tmp_path, {**FREE, "GREENTIC_PORT": str(port)})
    assert by_name(report)["port"].status == "warning"
    assert "running already" in by_name(report)["port"].detail
    assert report.is_ready


def test_a_free_port_is_free(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report = check_machine(tmp_path, {**FREE, "GREENTIC_PORT": str(port)})
    assert by_name(report)["port"].detail == f"127.0.0.1:{port} is free"


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "greentic.toml").write_text("[server]\nprot = 1\n")
    report = check_machine(tmp_path, {**FREE, "GREENTIC_PORT": "eighty"})
    wrong = [check.detail for check in report.checks if check.name == "settings"]
    assert len(wrong) == 2
    assert not report.is_ready


def test_secrets_are_masked(tmp_path: Path) -> None:
    environment = {**FREE, "GREENTIC_NATS_URL": "nats://me:hunter2@127.0.0.1:4222"}
    assert "hunter2" not in repr(check_machine(tmp_path, environment))


def test_an_open_data_folder_is_an_error(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path / ".greentic")
    folder.prepare()
    folder.write_endpoint(Endpoint("nats://127.0.0.1:4222", "u", "hunter2", pid=1))
    report = check_machine(tmp_path, FREE)
    assert report.is_ready
    assert "runs at nats://127.0.0.1:4222" in by_name(report)["nats"].detail
    assert "hunter2" not in repr(report)
    folder.data_dir.chmod(0o755)
    folder.endpoint_path.chmod(0o644)
    open_report = by_name(check_machine(tmp_path, FREE))
    assert (open_report["data folder"].status, open_report["nats.json"].status) == (
        "error",
        "error",
    )
    folder.endpoint_path.write_text("{")
    assert by_name(check_machine(tmp_path, FREE))["nats"].status == "warning"
    folder.endpoint_path.unlink()
    assert "nats" not in by_name(check_machine(tmp_path, FREE))


def test_a_stopped_server_is_told(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path / ".greentic")
    folder.prepare()
    folder.write_endpoint(Endpoint("nats://127.0.0.1:4222", "u", "p"))
    assert "does not run" in by_name(check_machine(tmp_path, FREE))["nats"].detail


def test_a_missing_binary_and_an_old_python_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_module, "BINARY", "no-such-binary")
    monkeypatch.setattr(checks_module, "PYTHON_MIN", (99, 0))
    report = check_machine(tmp_path, FREE)
    assert by_name(report)["no-such-binary"].status == "error"
    assert by_name(report)["python"].status == "error"
    assert not report.is_ready


def test_a_binary_from_elsewhere_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_module, "DISTRIBUTION", "no-such-distribution")
    assert by_name(check_machine(tmp_path, FREE))["nats-server"].status == "warning"
