"""Which NATS server a command talks to."""

from pathlib import Path

import pytest

from actors.errors import UnavailableError
from app.bus.connection import BusSettings
from app.bus.server_folder import Endpoint, ServerFolder
from app.cli.connecting import bus_settings, chosen_env
from app.errors import CommandError


def folder_with(path: Path, endpoint: Endpoint) -> Path:
    folder = ServerFolder(path)
    folder.prepare()
    folder.write_endpoint(endpoint)
    return path


def test_an_address_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"GREENTIC_NATS_URL": "nats://env:1"}
    assert bus_settings("nats://given:1", tmp_path, environment).url == "nats://given:1"
    assert bus_settings(None, None, environment).url == "nats://env:1"


def test_a_data_folder_wins_over_the_environments_address(tmp_path: Path) -> None:
    data = folder_with(tmp_path / "d", Endpoint("nats://127.0.0.1:5", "u", "hunter2", pid=7))
    settings = bus_settings(None, data, {"GREENTIC_NATS_URL": "nats://env:1"})
    assert (settings.url, settings.user, settings.password) == (
        "nats://127.0.0.1:5",
        "u",
        "hunter2",
    )
    assert "hunter2" not in repr(settings)
    named = {"GREENTIC_DATA_DIR": str(data)}
    assert isinstance(bus_settings(None, None, named), BusSettings)


def test_no_server_is_told_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no nats\.json") as caught:
        bus_settings(None, tmp_path, {})
    assert "--data" in str(caught.value.hint)


def test_a_stopped_server_is_unavailable(tmp_path: Path) -> None:
    data = folder_with(tmp_path / "d", Endpoint("nats://127.0.0.1:5", "u", "p"))
    with pytest.raises(UnavailableError, match="does not run"):
        bus_settings(None, data, {})


def test_the_env_is_dev_unless_said_otherwise() -> None:
    assert chosen_env(None, {}) == "dev"
    assert chosen_env(None, {"GREENTIC_ENV": "prod"}) == "prod"
    assert chosen_env("test", {"GREENTIC_ENV": "prod"}) == "test"
