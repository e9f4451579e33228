"""SMTP's options, the server they name, and the provider's entry in the catalogue."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.errors import SettingsError
from app.providers.email_smtp.options import SmtpOptions
from app.providers.email_smtp.server import server_of
from app.providers.email_smtp.spec import SMTP, build_smtp
from app.providers.provider import Provider, ProviderContext

SERVER = {"host": "mail.example.org", "from_email": "shop@example.org"}
LOGIN = {"username": "shop", "password": "hunter2-hunter2"}


def options_of(**options: Any) -> SmtpOptions:
    return SmtpOptions.model_validate({**SERVER, **options})


def built(env: str = "dev", endpoint: str | None = None, **options: Any) -> Provider:
    endpoints = {} if endpoint is None else {SMTP.name: endpoint}
    context = ProviderContext(env, MemoryHttp(), VirtualClock(), endpoints=endpoints)
    return build_smtp(options_of(**options), context)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": None}, "host is missing"),
        ({"host": None, "from_email": None}, "host and from_email are missing"),
        ({"host": "mail.example.org:25"}, "must be a host's name"),
        ({"host": "a b"}, "must be a host's name"),
        ({"host": "a\r\nQUIT"}, "must be a host's name"),
        ({"port": 0}, "port"),
        ({"port": "25"}, "port"),
        ({"port": 65536}, "port"),
        ({"username": "shop"}, "password is missing"),
        ({"password": "x"}, "username is missing"),
        ({"username": "", "password": "x"}, "username"),
        ({"username": "a", "password": ""}, "password"),
        ({"tls": "maybe"}, "tls"),
        ({"timeout": 0}, "timeout"),
        ({"connections": 33}, "connections"),
        ({"client_name": "a b"}, "client_name"),
        ({"hosts": "x"}, "hosts"),
    ],
)
def test_wrong_option_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options_of(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("implicit", 465), ("none", 25)])
def test_port_follows_the_encryption(tls: str, port: int) -> None:
    server = server_of(options_of(tls=tls), None, "dev")
    assert (server.port, server.tls) == (port, tls)
    assert (server.context is None) == (tls == "none")
    assert server.client_name == "example.org"
    assert server_of(options_of(tls=tls, port=2525), None, "dev").address == "mail.example.org:2525"


def test_login_in_the_clear_is_refused_in_prod_and_a_warning_elsewhere() -> None:
    with pytest.raises(SettingsError, match="unencrypted") as caught:
        built("prod", tls="none", **LOGIN)
    assert LOGIN["password"] not in str(caught.value)
    assert "refused" in built("dev", tls="none", **LOGIN).warnings[0]


def test_mails_in_the_clear_are_a_warning_in_prod() -> None:
    assert "unencrypted" in built("prod", tls="none").warnings[0]
    assert built("dev", tls="none").warnings == ()
    assert built("prod").warnings == ()


def test_stand_in_gets_no_login_and_no_encryption() -> None:
    server = server_of(options_of(**LOGIN), "smtp://127.0.0.1:2525", "dev")
    assert (server.host, server.port, server.tls) == ("127.0.0.1", 2525, "none")
    assert (server.username, server.password) == (None, None)
    for endpoint in ("http://127.0.0.1:25", "smtp:", "127.0.0.1:25"):
        with pytest.raises(SettingsError):
            built(endpoint=endpoint)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_that_cannot_be_read_are_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="ca_file"):
        built(ca_file=str(file))


def test_password_is_never_shown() -> None:
    server = server_of(options_of(**LOGIN), None, "prod")
    assert LOGIN["password"] not in f"{server!r}{options_of(**LOGIN)!r}{built(**LOGIN)!r}"


def test_disabled_provider_needs_no_server() -> None:
    context = ProviderContext("prod", MemoryHttp(), VirtualClock())
    provider = build_smtp(SmtpOptions.model_validate({"enabled": False}), context)
    assert provider.outbound is None


def test_catalogue_entry_is_that_of_the_contract() -> None:
    assert SMTP.name == "events-email-smtp"
    assert SMTP.routes == ()
    assert [action.name for action in SMTP.actions] == ["send", "send_template"]
    send_template = SMTP.actions[1].arguments
    with pytest.raises(ValidationError, match="subject"):
        send_template.model_validate({"to": "a@b.org", "template_id": "welcome"})
