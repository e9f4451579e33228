"""API keys: one form of text, and records that hold no secret."""

import json
from typing import Any

import pytest

from app.errors import StoreError
from app.stores.api_key import (
    PLATFORM,
    ApiKey,
    KeyText,
    matches,
    new_text,
    parse_text,
    read_record,
)


def a_key(text: KeyText, **changes: Any) -> ApiKey:
    values: dict[str, Any] = {
        "prefix": text.prefix, "tenant": "acme", "name": "ci", "scopes": ("publish",),
        "created_ms": 1000, "expires_ms": None, "digest": text.digest,
    }  # fmt: skip
    return ApiKey(**(values | changes))


def test_text_reads_back_and_no_two_are_alike() -> None:
    texts = [new_text() for _ in range(200)]
    assert len({str(text) for text in texts}) == 200
    for text in texts:
        assert len(str(text)) == 4 + 8 + 1 + 43
        assert parse_text(str(text)) == text


@pytest.mark.parametrize(
    "change",
    [str.upper, lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: t + "a",
     lambda t: t.replace("gte_", "gtf_"), lambda t: t[:12] + "é" + t[13:], lambda _: "",
     lambda t: t.replace("_", "-", 1), lambda t: t * 10_000, lambda _: "\ud800"],
)  # fmt: skip
def test_other_texts_are_no_keys(change: Any) -> None:
    assert parse_text(change(str(new_text()))) is None


def test_record_reads_back_and_holds_no_secret() -> None:
    text = new_text()
    key = a_key(text, expires_ms=2000)
    assert read_record(key.as_bytes()) == key
    for shown in (key.as_bytes().decode(), repr(key), repr(text), json.dumps(key.as_mapping())):
        assert text.secret not in shown
    assert text.digest.hex() not in json.dumps(key.as_mapping())


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"sha256": "ab"}, {"sha256": 7}, {"sha256": "AB" * 32}, {"tenant": "A.b"},
     {"tenant": None}, {"scopes": None}, {"expires_ms": "soon"}, {"created_ms": None}],
)  # fmt: skip
def test_record_of_another_form_is_no_key(change: dict[str, Any]) -> None:
    document = json.loads(a_key(new_text()).as_bytes())
    with pytest.raises(StoreError):
        read_record(json.dumps(document | change).encode())


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xff", b"[" * 100_000, b"{}"])
def test_what_is_no_record_is_no_key(data: bytes) -> None:
    with pytest.raises(StoreError):
        read_record(data)


def test_only_the_right_secret_matches() -> None:
    text, other = new_text(), new_text()
    impostor = a_key(other, prefix=text.prefix)
    assert matches(text, ()) is None
    assert matches(text, (impostor,)) is None
    assert matches(text, (impostor, a_key(text))) == a_key(text)


@pytest.mark.parametrize(
    ("expires_ms", "now_ms", "allowed"),
    [(None, 10**15, True), (2000, 1999, True), (2000, 2000, False), (2000, 2001, False)],
)
def test_expired_key_is_in_force_no_more(
    expires_ms: int | None, now_ms: int, allowed: bool
) -> None:
    assert a_key(new_text(), expires_ms=expires_ms).is_in_force(now_ms) is allowed


def test_revoked_record_says_what_it_was_and_fits_no_text() -> None:
    text = new_text()
    revoked = a_key(text, created_by="cli:ann@host", rotated_from="abcdefgh").revoked(5000)
    assert not revoked.is_in_force(0)
    assert text.digest.hex() not in revoked.as_bytes().decode()
    assert matches(text, (revoked,)) is None
    assert read_record(revoked.as_bytes()) == revoked
    assert (revoked.created_by, revoked.rotated_from) == ("cli:ann@host", "abcdefgh")


def test_record_of_an_earlier_version_is_a_key_still() -> None:
    text = new_text()
    document = json.loads(a_key(text).as_bytes())
    for later in ("created_by", "rotated_from", "revoked_ms"):
        del document[later]
    assert read_record(json.dumps(document).encode()) == a_key(text)


def test_platform_key_belongs_to_no_tenant() -> None:
    key = a_key(new_text(), tenant=PLATFORM, scopes=("platform-admin",))
    assert read_record(key.as_bytes()) == key
    assert key.place == f"PLATFORM.{key.prefix}"
    principal = key.as_principal()
    assert principal.tenant is None
    assert principal.may("tenant-admin", "acme")
    assert principal.may("platform-admin", None)
