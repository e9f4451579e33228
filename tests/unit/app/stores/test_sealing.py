"""Sealed values open at their own place with their own key, and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SealError
from app.settings.sealing_key import format_key, parse_key
from app.stores.sealing import SEAL_BYTES, Place, SealingKey

KEY = SealingKey(bytes(range(32)))
OTHER = SealingKey(bytes(range(1, 33)))
HOME = Place("dev", "acme", "API_KEY")
CANARY = b"canary-7f3a"

places = st.builds(Place, st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))


@pytest.mark.parametrize("content", [b"", b"x", CANARY, bytes(65536)])
def test_what_is_sealed_opens_again(content: bytes) -> None:
    envelope = KEY.seal(HOME, content)
    assert KEY.open(HOME, envelope) == content
    assert len(envelope) == len(content) + SEAL_BYTES
    assert CANARY not in envelope


def test_same_content_gives_another_envelope_each_time() -> None:
    assert len({KEY.seal(HOME, CANARY) for _ in range(50)}) == 50


def test_every_changed_byte_is_noticed() -> None:
    envelope = KEY.seal(HOME, CANARY)
    for index in range(len(envelope)):
        changed = bytearray(envelope)
        changed[index] ^= 1
        with pytest.raises(SealError) as caught:
            KEY.open(HOME, bytes(changed))
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 9, SEAL_BYTES - 1, SEAL_BYTES, SEAL_BYTES + 5])
def test_cut_off_envelope_is_refused(length: int) -> None:
    with pytest.raises(SealError):
        KEY.open(HOME, KEY.seal(HOME, CANARY)[:length])


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("prod", "acme", "API_KEY"),
        Place("dev", "other", "API_KEY"),
        Place("dev", "acme", "API_KEY2"),
        Place("dev", "acmeA", "PI_KEY"),
        Place("devacme", "", "API_KEY"),
    ],
)
def test_moved_envelope_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(SealError, match="belongs to another"):
        KEY.open(elsewhere, KEY.seal(HOME, CANARY))


@given(places, places)
def test_places_never_share_their_bytes(one: Place, two: Place) -> None:
    assert (one.as_bytes() == two.as_bytes()) == (one == two)


def test_another_key_is_told_by_its_id() -> None:
    with pytest.raises(SealError) as caught:
        OTHER.open(HOME, KEY.seal(HOME, CANARY))
    assert KEY.key_id.hex() in str(caught.value)
    assert OTHER.key_id.hex() in str(caught.value)


def test_forged_key_id_does_not_help() -> None:
    envelope = KEY.seal(HOME, CANARY)
    with pytest.raises(SealError):
        OTHER.open(HOME, envelope[:1] + OTHER.key_id + envelope[9:])


def test_key_is_not_shown() -> None:
    assert "raw" not in repr(KEY)
    assert KEY.key_id not in KEY.raw


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(SealError):
        SealingKey(bytes(size))


# ── The key's text form ──────────────────────────────────────────────────────────────────────


@given(st.binary(min_size=32, max_size=32).filter(lambda raw: len(set(raw)) > 1))
def test_key_reads_back_in_every_spelling(raw: bytes) -> None:
    text = format_key(raw)
    url = base64.urlsafe_b64encode(raw).decode()
    for spelling in (text, f" {text}\n", text.rstrip("="), url, url.rstrip("=")):
        assert parse_key(spelling) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "!" * 43,
        "A" * 43,
        "B" * 1_000_000,
        "é" * 43,
        format_key(bytes(range(32))) * 2,
    ],
)
def test_no_key_is_refused_with_advice_and_without_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)
