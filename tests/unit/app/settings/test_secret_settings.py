"""``[secrets]``: keys from files and folders, and variables that can be nobody else's."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.errors import SettingsError
from app.settings.loading import load_settings
from app.settings.sealing_key import format_key, parse_keys
from app.settings.secrets import SecretsSection, variable_of

KEYS = [format_key(bytes(range(start, start + 32))) for start in range(10)]


def load(folder: Path, toml: str = "", **environ: str) -> SecretsSection:
    path = folder / "greentic.toml"
    path.write_text(toml)
    return load_settings(path, environ, {}).secrets


def keys_of(section: SecretsSection) -> list[str]:
    assert section.key is not None
    return [format_key(key) for key in parse_keys(section.key.get_secret_value())]


def key_folder(folder: Path, **files: str) -> Path:
    made = folder / "keys"
    made.mkdir()
    for name, text in files.items():
        (made / name.replace("__", ".")).write_text(text)
    return made


def test_variable_holds_several_keys_and_shows_none(tmp_path: Path) -> None:
    section = load(tmp_path, GREENTIC_SECRET_KEY=",".join(KEYS[:3]))
    assert keys_of(section) == KEYS[:3]
    assert KEYS[0] not in repr(section) + str(section.model_dump(mode="json"))


def test_file_holds_several_keys(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n".join(KEYS[:2]) + "\n")
    assert keys_of(load(tmp_path, GREENTIC_SECRET_KEY_FILE=str(tmp_path / "key"))) == KEYS[:2]


def test_folder_says_which_key_is_current(tmp_path: Path) -> None:
    """The dated copy of the current key beside it is no second key."""
    files = {"a": KEYS[1] + "\n", "current": KEYS[2], "z": KEYS[2] + "\n", "__hidden": "x"}
    folder = key_folder(tmp_path, **files)
    assert keys_of(load(tmp_path, f'[secrets]\nkey_file = "{folder}"')) == [KEYS[2], KEYS[1]]


def test_folder_mounted_by_kubernetes_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    (folder / "..2026" / "only").write_text(KEYS[0])
    (folder / "only").symlink_to("..data/only")
    assert keys_of(load(tmp_path, GREENTIC_SECRET_KEY_FILE=str(folder))) == KEYS[:1]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "holds no key file"),
        ({"a": KEYS[0], "b": KEYS[1]}, "call the one to seal with 'current'"),
        ({"current": KEYS[0], "b": ""}, "b is empty"),
        ({"current": KEYS[0], "b": "hunter2"}, "key 2 of 2 must be 32 bytes"),
        ({"current": KEYS[0], "b": "x" * 100}, "b is too long"),
        ({"current": KEYS[0], "b": "é"}, "b cannot be read as text"),
        ({"current": KEYS[0], **{f"k{n}": KEYS[n] for n in range(1, 10)}}, "more than 8"),
    ],
    ids=["none", "unclear", "empty", "bad", "long", "binary", "many"],
)
def test_folder_that_cannot_be_used_is_refused(
    tmp_path: Path, files: dict[str, str], problem: str
) -> None:
    folder = key_folder(tmp_path, **files)
    with pytest.raises(SettingsError, match=problem) as caught:
        load(tmp_path, GREENTIC_SECRET_KEY_FILE=str(folder))
    assert "hunter2" not in str(caught.value)
    assert KEYS[0] not in str(caught.value)


def test_key_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="key_file: nowhere cannot be read"):
        load(tmp_path, GREENTIC_SECRET_KEY_FILE=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("tenant", "name", "variable"),
    [
        ("acme", "API_KEY", "GREENTIC_TENANT_ACME_API_KEY"),
        ("acme-eu", "K", "GREENTIC_TENANT_ACME__EU_K"),
        ("acme", "EU_K", "GREENTIC_TENANT_ACME_EU_K"),
        ("9-", "K_", "GREENTIC_TENANT_9___K_"),
    ],
)
def test_variable_is_named_after_tenant_and_name(tenant: str, name: str, variable: str) -> None:
    assert variable_of("GREENTIC_TENANT_", tenant, name) == variable


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"environment_prefix": ""}, "must be capitals"),
        ({"environment_prefix": "GREENTIC_"}, "must be capitals"),
        ({"environment_prefix": "AWS_"}, "must be capitals"),
        ({"environment_prefix": "greentic_TENANT_"}, "must be capitals"),
        ({"environment_prefix": "TENANT"}, "must be capitals"),
        ({"environment_names": {"a_b": ("K",)}}, "no variable is surely its own"),
        ({"environment_names": {"Acme": ("K",)}}, "must match"),
        ({"environment_names": {"acme": ("_K",)}}, "no name of capitals"),
        ({"environment_names": {"acme": ("k",)}}, "no name of capitals"),
        ({"environment_names": {"acme": ("A.B",)}}, "no name of capitals"),
        ({"environment_names": {"acme": ("K",) * 1001}}, "more than 1000"),
        ({"directory": "secrets"}, "absolute path"),
        ({"directory": ""}, "absolute path"),
    ],
    ids=range(13),
)
def test_what_might_be_anothers_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        SecretsSection(**given)
