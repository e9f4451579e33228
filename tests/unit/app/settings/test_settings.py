"""Settings: which source wins, what is refused, and that all of it is said at once."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingsError
from app.settings.loading import load_settings
from app.settings.section import Section
from app.settings.sections import Settings, describe_settings
from app.settings.sources import ENVIRONMENT


def load(
    tmp_path: Path,
    toml: str | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    path = None
    if toml is not None:
        path = tmp_path / "greentic.toml"
        path.write_text(toml)
    return load_settings(path, environ or {}, flags or {})


A_KEY = base64.b64encode(bytes(range(32))).decode()
B_KEY = base64.b64encode(bytes(range(1, 33))).decode()


def problems(tmp_path: Path, *sources: Any, **named: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, *sources, **named)
    return list(caught.value.problems)


def test_defaults_are_safe(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.env, settings.server.host, settings.server.port) == ("dev", "127.0.0.1", 8080)
    assert (settings.server.admin_host, settings.server.admin_port) == ("127.0.0.1", 8081)
    assert settings.nats.is_embedded
    assert settings.server.roles == ("ingress", "worker", "history")


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    toml = '[server]\nport = 1\nhost = "a"\nadmin = "a:1"\ndrain_seconds = 7'
    environ = {"GREENTIC_PORT": "2", "GREENTIC_HOST": "b", "GREENTIC_ADMIN": ""}
    server = load(tmp_path, toml, environ, {"server.port": 3, "server.host": None}).server
    assert (server.port, server.host, server.admin, server.drain_seconds) == (3, "b", "a:1", 7)


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_every_variable_sets_its_key(variable: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    key = tmp_path / "key"
    key.write_text(A_KEY + "\n")
    url = tmp_path / "url"
    url.write_text("sqlite:////var/lib/history.db\n")
    values = {
        "GREENTIC_PORT": "9",
        "GREENTIC_ADMIN": "h:9",
        "GREENTIC_NATS_URL": "nats://h:1",
        "GREENTIC_NATS_REPLICAS": "1",
        "GREENTIC_NATS_PASSWORD_FILE": str(secret),
        "GREENTIC_NATS_CREDENTIALS_FILE": str(secret),
        "GREENTIC_LOG_LEVEL": "error",
        "GREENTIC_LOG_FORMAT": "json",
        "GREENTIC_ALLOW_PRIVATE": "10.0.0.0/8",
        "GREENTIC_SECRET_KEY": A_KEY,
        "GREENTIC_SECRET_KEY_FILE": str(key),
        "GREENTIC_DATABASE_URL": "postgresql://u:word@h/d",
        "GREENTIC_DATABASE_URL_FILE": str(url),
    }
    value = values.get(variable, "word")
    settings = load(tmp_path, environ={variable: value})
    found: Any = settings
    for name in ENVIRONMENT[variable].split("."):
        found = getattr(found, name)
    plain = found.get_secret_value() if hasattr(found, "get_secret_value") else found
    assert (plain == (value,)) if isinstance(plain, tuple) else (str(plain) == value)


def test_a_signed_login_comes_from_a_mounted_file_and_is_masked(tmp_path: Path) -> None:
    secret = tmp_path / "platform.creds"
    secret.write_text("-----BEGIN NATS USER JWT-----\nhunter2\n")
    nats = load(tmp_path, environ={"GREENTIC_NATS_CREDENTIALS_FILE": str(secret)}).nats
    assert nats.credentials is not None
    assert "hunter2" in nats.credentials.get_secret_value()
    assert "hunter2" not in repr(nats)


def test_prod_opens_no_private_addresses(tmp_path: Path) -> None:
    environ = {"GREENTIC_ALLOW_PRIVATE": "10.0.0.0/8, 127.0.0.1:80"}
    assert load(tmp_path, environ=environ).security.allow_private == ("10.0.0.0/8", "127.0.0.1:80")
    with pytest.raises(SettingsError, match="not in env prod"):
        load(tmp_path, environ=environ | {"GREENTIC_ENV": "prod"})


def test_key_comes_from_a_mounted_file_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(A_KEY + "\n")
    for environ, expected in ({}, A_KEY), ({"GREENTIC_SECRET_KEY": B_KEY}, B_KEY):
        section = load(tmp_path, f'[secrets]\nkey_file = "{key}"', environ).secrets
        assert section.key is not None
        assert section.key.get_secret_value() == expected
        assert expected not in repr(section)


def test_variables_of_others_are_ignored(tmp_path: Path) -> None:
    environ = {"GREENTIC_EVENTS_SERVICE_HOST": "10.0.0.1", "PORT": "1", "PATH": "/bin"}
    assert load(tmp_path, environ=environ) == load(tmp_path)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[server]\nprot = 1", "server.prot: is not a setting; did you mean 'port'?"),
        ("[sever]\nport = 1", "'sever' is no section; did you mean 'server'?"),
        ('env = "prod"', "'env' is no section"),
        ("server = 1", "must be a section"),
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = -1", "server.port"),
        ("[server]\nport = true", "server.port"),
        ('[server]\nport = "80"', "server.port"),
        ('[server]\nhost = ""', "server.host"),
        ('[server]\nhost = "a b"', "server.host"),
        ('[server]\nadmin = "8081"', "server.admin: must be HOST:PORT"),
        ('[server]\nadmin = "h:99999999"', "server.admin: must be HOST:PORT"),
        ("[server]\nroles = []", "names no role"),
        ('[server]\nroles = ["console"]', "'console' is not in this version"),
        ('[server]\nroles = ["cook"]', "'cook' is no role"),
        ("[server]\ndrain_seconds = 1e9", "server.drain_seconds"),
        ('[nats]\nurl = "http://h"', "nats.url: must look like"),
        ('[nats]\nurl = "nats://"', "nats.url: must look like"),
        ("[nats]\nembedded = false", "nats.url must say where"),
        ('[nats]\nembedded = true\nurl = "nats://h"', "no server can be embedded"),
        ('[nats]\nsync = "always"\nurl = "nats://h"', "nats.sync is the embedded"),
        ('[nats]\nsync = "sometimes"', "nats.sync: must be"),
        ('[nats]\nurl = "nats://h, http://i"', "nats.url: must look like"),
        ('[nats]\nurl = "nats://h,wss://i"', "nats.url: mixes websockets"),
        ('[nats]\nurl = "nats://a:b@h,nats://c:d@i"', "name different users"),
        ('[nats]\nurl = "nats://h"\nreplicas = 2', "nats.replicas:"),
        ("[nats]\nreplicas = 3", "nats.replicas needs a cluster"),
        ('[logging]\nlevel = "loud"', "logging.level"),
        ('[logging]\nformat = "xml"', "logging.format"),
        ('[telemetry]\nendpoint = "x"', "[telemetry] is not in this version"),
        ("[security]\nreject_unsigned_packs = true", "security.reject_unsigned_packs: is not a"),
        ('[security]\nallow_private = ["localhost"]', "security.allow_private: 'localhost' is no"),
        ('[security]\nallow_private = ["10.0.0.1:0"]', "has no port between 1 and"),
        ('[security.egress_allow]\nacme = ["http://x"]', "is no host like api.example.com"),
        ("[secrets]\nbackend = 1", "secrets.backend: is not a setting"),
        ('[secrets]\nkey = "c2hvcnQ="', "secrets.key: must be 32 bytes in base64"),
        (f'[secrets]\nkey = "{"A" * 43}="', "secrets.key: is one byte repeated"),
        ('[secrets]\nkey_file = "/nonexistent/key"', "secrets.key_file: key cannot be read"),
        (
            '[history]\ndatabase_url = "mysql://u:hunter2@h/d"',
            "history.database_url: must look like",
        ),
        ('[history]\ndatabase_url = "postgresql://h"', "history.database_url: must look like"),
        ('[history]\ndatabase_url = "postgresql://u:hunter2@\u2100/d"', "must look like"),
        ('[history]\ndatabase_url = "sqlite:///"', "history.database_url: must look like"),
        ('[history]\ndatabase_url_file = "/nonexistent/url"', "history.database_url_file: url"),
        ("[history]\nkeep_days = -1", "history.keep_days"),
        ("[runtime]\nworkers = 1", "[runtime] is not in this version"),
        ("[server", "is no TOML"),
        ("a = " + "[" * 100_000, "is no TOML"),
        ("#" * (1024 * 1024 + 1), "is larger than"),
    ],
)
def test_wrong_setting_is_named(toml: str, words: str, tmp_path: Path) -> None:
    told = problems(tmp_path, toml)
    assert any(words in problem for problem in told)
    assert not any("hunter2" in problem for problem in told)


def test_the_database_comes_from_a_variable_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    url = "postgresql://history:hunter2@db.example/greentic"
    mounted = tmp_path / "url"
    mounted.write_text(url + "\n")
    ways: list[tuple[str, dict[str, str]]] = [
        (f'[history]\ndatabase_url = "{url}"', {}),
        ("", {"GREENTIC_DATABASE_URL": url}),
        ("", {"GREENTIC_DATABASE_URL_FILE": str(mounted)}),
    ]
    for toml, environ in ways:
        settings = load(tmp_path, toml, environ)
        found = settings.history.database_url
        assert found is not None
        assert found.get_secret_value() == url
        assert "hunter2" not in f"{settings!r}{describe_settings(settings)}"


def test_empty_sections_of_later_versions_are_no_problem(tmp_path: Path) -> None:
    assert load(tmp_path, "[telemetry]\n[security]\n") == load(tmp_path)


@pytest.mark.parametrize("variable", ["GREENTIC_OTLP_ENDPOINT"])
def test_variables_of_later_versions_are_refused_by_name(variable: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, environ={variable: "hunter2"})
    assert variable in problem
    assert "hunter2" not in problem
    assert load(tmp_path, environ={variable: ""}) == load(tmp_path)


@pytest.mark.parametrize("env", ["", "a.b", "Prod", "*", "-a", "a" * 64])
def test_env_must_be_one_subject_token(env: str, tmp_path: Path) -> None:
    assert "env" in problems(tmp_path, flags={"env": env})[0]


@pytest.mark.parametrize("port", ["x", "-1", "٣", "1e3", "70000", "9" * 30, "tcp://10.0.0.1:80"])
def test_variable_that_is_no_port_is_refused_with_its_name(port: str, tmp_path: Path) -> None:
    [problem] = problems(tmp_path, environ={"GREENTIC_PORT": port})
    assert problem.startswith("server.port: ")
    assert problem.endswith("(from GREENTIC_PORT)")


def test_all_problems_of_all_sources_are_reported_at_once(tmp_path: Path) -> None:
    toml = '[server]\nport = "hunter2"\n[telemetry]\nx = "hunter2"\n[nats]\npasword = "hunter2"'
    environ = {"GREENTIC_LOG_LEVEL": "hunter2", "GREENTIC_SECRET_KEY": "hunter2"}
    found = problems(tmp_path, toml, environ, {"server.admin": "hunter2"})
    assert len(found) == 6
    assert not any("hunter2" in problem for problem in found)
    assert any("(from --admin)" in problem for problem in found)


def test_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read"):
        load_settings(tmp_path / "none.toml", {}, {})


def test_credentials_leave_the_url(tmp_path: Path) -> None:
    nats = load(tmp_path, environ={"GREENTIC_NATS_URL": "nats://us%40er:hun%2Fter2@h:4222"}).nats
    assert (nats.url, nats.user) == ("nats://h:4222", "us@er")
    assert nats.password is not None
    assert nats.password.get_secret_value() == "hun/ter2"


def test_spelled_out_credentials_win_over_those_of_the_url(tmp_path: Path) -> None:
    toml = '[nats]\nurl = "nats://a:b@h"\nuser = "c"\npassword = "d"'
    nats = load(tmp_path, toml).nats
    assert nats.user == "c"
    assert nats.password is not None
    assert nats.password.get_secret_value() == "d"


def test_password_comes_from_a_mounted_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    nats = load(tmp_path, f'[nats]\npassword_file = "{tmp_path / "secret"}"').nats
    assert nats.password is not None
    assert nats.password.get_secret_value() == "hunter2"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_secret_file_without_a_secret_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    [problem] = problems(tmp_path, f'[nats]\npassword_file = "{path}"')
    assert problem.startswith("nats.password_file")


def test_secrets_are_masked_wherever_settings_are_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, '[nats]\npassword = "hunter2"')
    assert "hunter2" not in repr(settings) + str(describe_settings(settings))


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path).server.port = 1  # type: ignore[misc]


def test_every_field_is_documented() -> None:
    sections: list[type[Section]] = [Settings, *Section.__subclasses__()]
    for section in sections:
        for name, field in section.model_fields.items():
            is_section = isinstance(field.annotation, type) and issubclass(
                field.annotation, Section
            )
            assert field.description or is_section, f"{section.__name__}.{name}"


def test_servers_of_a_cluster_have_one_login(tmp_path: Path) -> None:
    url = "nats://us:hunter2@a:1, nats://b:2,nats://us:hunter2@c"
    environ = {"GREENTIC_NATS_URL": url, "GREENTIC_NATS_REPLICAS": "3"}
    nats = load(tmp_path, environ=environ).nats
    assert nats.url == "nats://a:1,nats://b:2,nats://c"
    assert (nats.user, nats.replicas) == ("us", 3)
    assert nats.password is not None
    assert nats.password.get_secret_value() == "hunter2"
    plain = load(tmp_path, environ={"GREENTIC_NATS_URL": "nats://a:1, nats://b:2"}).nats
    assert plain.url == "nats://a:1,nats://b:2"
    assert plain.replicas is None, "streams stay as they are"


def test_number_of_replicas_must_be_one(tmp_path: Path) -> None:
    environ = {"GREENTIC_NATS_URL": "nats://a:1", "GREENTIC_NATS_REPLICAS": "three"}
    [problem] = problems(tmp_path, environ=environ)
    assert problem.startswith("nats.replicas:")
    assert "GREENTIC_NATS_REPLICAS" in problem
