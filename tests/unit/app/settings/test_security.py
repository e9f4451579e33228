"""Grants of private addresses. In: settings. Out: what is opened, or why it is not."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings.loading import load_settings
from app.settings.security import read_grant


@pytest.mark.parametrize("grant", ["127.0.0.1:8000", "10.0.0.0/8", "::1"])
def test_prod_opens_nothing_private_whoever_asks(grant: str, tmp_path: Path) -> None:
    toml = tmp_path / "greentic.toml"
    toml.write_text(f'[security]\nallow_private = ["{grant}"]\n')
    assert load_settings(toml, {}, {}).security.allow_private == (grant,)
    for path, environ in (
        (toml, {"GREENTIC_ENV": "prod"}),
        (None, {"GREENTIC_ENV": "prod", "GREENTIC_ALLOW_PRIVATE": grant}),
    ):
        with pytest.raises(SettingsError, match="allow_private"):
            load_settings(path, environ, {})


def test_prod_may_narrow(tmp_path: Path) -> None:
    toml = tmp_path / "greentic.toml"
    toml.write_text('[security.egress_allow]\nacme = ["api.example.com"]\nnone = []\n')
    section = load_settings(toml, {"GREENTIC_ENV": "prod"}, {}).security
    assert section.egress_allow == {"acme": ("api.example.com",), "none": ()}


@pytest.mark.parametrize(
    ("text", "grant"),
    [
        ("10.1.0.0/16", ip_network("10.1.0.0/16")),
        ("10.1.2.3", ip_network("10.1.2.3/32")),
        ("fd00::/8", ip_network("fd00::/8")),
        ("127.0.0.1:80", (ip_address("127.0.0.1"), 80)),
        ("[::1]:65535", (ip_address("::1"), 65_535)),
    ],
)
def test_a_grant_is_read(text: str, grant: object) -> None:
    assert read_grant(text) == grant


@pytest.mark.parametrize(
    "text", ["localhost:80", "10.1.2.3/16", "127.0.0.1:", "127.0.0.1:65536", "[::1]", "1.2.3:4", ""]
)
def test_what_is_no_grant(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|has no port"):
        read_grant(text)
