"""Scopes imply one another downwards, and no tenant's key reaches above its tenant."""

import pytest

from app.identity.principal import Principal
from app.identity.scopes import SCOPES, implied, refusals

ALL = {"platform-admin", "tenant-admin", "tenant-operator", "tenant-publish", "tenant-read"}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("platform-admin", ALL),
        ("tenant-admin", ALL - {"platform-admin"}),
        ("tenant-operator", {"tenant-operator", "tenant-publish", "tenant-read"}),
        ("tenant-publish", {"tenant-publish"}),
        ("tenant-read", {"tenant-read"}),
        ("publish", {"tenant-publish"}),
        ("dead_letters", {"tenant-operator", "tenant-publish", "tenant-read"}),
        ("everything", set()),
    ],
)
def test_scope_implies_what_is_below_it(scope: str, expected: set[str]) -> None:
    assert implied([scope]) == expected


@pytest.mark.parametrize("scope", SCOPES)
def test_tenants_key_may_nothing_elsewhere(scope: str) -> None:
    principal = Principal.of("abcdefgh", "ci", "acme", [scope])
    for wanted in ALL:
        assert not principal.may(wanted, "other")
        assert not principal.may(wanted, None)
    assert not principal.may("platform-admin", "acme")


def test_platform_key_with_a_tenants_scope_has_it_everywhere_and_no_more() -> None:
    reader = Principal.of("abcdefgh", "watch", None, ["tenant-read"])
    assert reader.may("tenant-read", "acme")
    assert reader.may("tenant-read", "other")
    assert not reader.may("tenant-publish", "acme")
    assert not reader.may("platform-admin", None)


@pytest.mark.parametrize(
    ("scopes", "is_platform", "is_refused"),
    [
        (["tenant-admin"], False, False),
        (["publish", "dead_letters"], False, False),
        (["platform-admin"], True, False),
        (["platform-admin"], False, True),
        (["tenant-read", "everything"], True, True),
        ([], True, True),
    ],
)
def test_new_keys_scopes(scopes: list[str], is_platform: bool, is_refused: bool) -> None:
    assert bool(refusals(scopes, is_platform=is_platform)) is is_refused
