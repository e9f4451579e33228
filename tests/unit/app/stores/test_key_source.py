"""The sealing key: from the settings, or in development from a private file made once."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.errors import SettingsError
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores.key_source import KEY_FILE, KeySource

KEY = bytes(range(32))


def source(folder: Path, *, env: str = "dev", key: bytes | None = None) -> KeySource:
    given = None if key is None else SecretStr(format_key(key))
    return KeySource(SecretsSection(key=given), env, folder / "data")


def test_key_of_the_settings_wins_and_no_file_appears(tmp_path: Path) -> None:
    keys = source(tmp_path, env="prod", key=KEY)
    assert keys.for_sealing().current.raw == keys.for_opening().current.raw == KEY
    assert not (tmp_path / "data").exists()


def test_development_makes_one_private_file_and_keeps_it(tmp_path: Path) -> None:
    made = source(tmp_path).for_sealing()
    path = tmp_path / "data" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == [KEY_FILE]
    assert source(tmp_path).for_opening() == made


def test_opening_makes_no_key_up(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        source(tmp_path).for_opening()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("has_file", [True, False])
def test_prod_wants_a_key_of_the_operators_own(tmp_path: Path, has_file: bool) -> None:
    if has_file:
        source(tmp_path).for_sealing()
    for ask in (source(tmp_path, env="prod").for_sealing, source(tmp_path, env="prod").for_opening):
        with pytest.raises(SettingsError, match="openssl rand -base64 32"):
            ask()


def test_many_makers_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        made = [threads.submit(source(tmp_path).for_sealing) for _ in range(64)]
        assert len({future.result().current.raw for future in made}) == 1
    assert [item.name for item in (tmp_path / "data").iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    source(tmp_path).for_sealing()
    (tmp_path / "data" / KEY_FILE).chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        source(tmp_path).for_sealing()


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").write_text(format_key(KEY))
    (tmp_path / "data" / KEY_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot be read"):
        source(tmp_path).for_sealing()


def test_pipe_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / KEY_FILE, 0o600)
    with pytest.raises(SettingsError, match="no regular file"):
        source(tmp_path).for_opening()


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff" * 44, b"x" * 100_000])
def test_spoilt_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    source(tmp_path).for_sealing()
    path = tmp_path / "data" / KEY_FILE
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"32 bytes|ascii|more than 8 keys") as caught:
        source(tmp_path).for_sealing()
    assert "hunter2" not in str(caught.value)
    assert path.read_bytes() == content


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match="key file"):
        source(tmp_path).for_sealing()
