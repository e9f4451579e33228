"""Sealed values open at their own place with their own key, and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SealError
from app.settings.sealing_key import KEYS_MAX, format_key, parse_key, parse_keys
from app.stores.sealing import SEAL_BYTES, EnvelopeLabel, Keyring, Place, SealingKey
from tests.support.seals import sealed_as_before

KEY = SealingKey(bytes(range(32)))
OTHER = SealingKey(bytes(range(1, 33)))
RING = Keyring((KEY,))
HOME = Place("dev", "acme", "API_KEY")
CANARY = b"canary-7f3a"
KEPT = (
    "01fa98e577ebbe190dc6b8b5f16f8406d0d85cc8515ed12f3205fbfb244c"
    "99deb5de223eeca5d23bfbe54f7d2cf14716"
)


@pytest.mark.parametrize("content", [b"", b"x", CANARY, bytes(65536)])
def test_what_is_sealed_opens_again(content: bytes) -> None:
    envelope = RING.seal(HOME, content)
    assert RING.open(HOME, envelope) == content
    assert len(envelope) == len(content) + SEAL_BYTES
    assert CANARY not in envelope


def test_same_content_gives_another_envelope_each_time() -> None:
    envelopes = [RING.seal(HOME, CANARY) for _ in range(50)]
    assert len(set(envelopes)) == 50
    # No nonce, wrapped key or content comes twice.
    assert len({envelope[9:21] for envelope in envelopes}) == 50
    assert len({envelope[21:69] for envelope in envelopes}) == 50


@pytest.mark.parametrize("length", [0, 1, 9, SEAL_BYTES - 1, SEAL_BYTES, SEAL_BYTES + 5])
def test_cut_off_envelope_is_refused(length: int) -> None:
    with pytest.raises(SealError):
        RING.open(HOME, RING.seal(HOME, CANARY)[:length])


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
@pytest.mark.parametrize("is_old", [False, True])
def test_moved_envelope_does_not_open(elsewhere: Place, is_old: bool) -> None:
    envelope = sealed_as_before(KEY, HOME, CANARY) if is_old else RING.seal(HOME, CANARY)
    with pytest.raises(SealError, match="belongs to another"):
        RING.open(elsewhere, envelope)


def test_layers_of_two_envelopes_do_not_mix() -> None:
    """The wrapped key of one write and the content of another, of the same secret."""
    one, two = RING.seal(HOME, CANARY), RING.seal(HOME, CANARY)
    with pytest.raises(SealError):
        RING.open(HOME, one[:69] + two[69:])


def test_another_key_is_told_by_its_id() -> None:
    with pytest.raises(SealError) as caught:
        Keyring((OTHER,)).open(HOME, RING.seal(HOME, CANARY))
    assert KEY.key_id.hex() in str(caught.value)
    assert OTHER.key_id.hex() in str(caught.value)
    assert format_key(KEY.raw) not in str(caught.value)


def test_forged_key_id_does_not_help() -> None:
    envelope = RING.seal(HOME, CANARY)
    with pytest.raises(SealError):
        Keyring((OTHER,)).open(HOME, envelope[:1] + OTHER.key_id + envelope[9:])


def test_first_key_seals_and_all_open() -> None:
    both = Keyring((OTHER, KEY))
    assert both.open(HOME, RING.seal(HOME, CANARY)) == CANARY
    fresh = both.seal(HOME, CANARY)
    assert EnvelopeLabel.read(fresh) == EnvelopeLabel(2, OTHER.key_id)
    assert both.is_current(fresh)
    assert not both.is_current(RING.seal(HOME, CANARY))
    with pytest.raises(SealError):
        RING.open(HOME, fresh)


def test_envelope_of_the_first_version_opens_and_is_not_current() -> None:
    old = sealed_as_before(KEY, HOME, CANARY)
    assert Keyring((OTHER, KEY)).open(HOME, old) == CANARY
    assert not RING.is_current(old)


def test_envelope_kept_from_the_first_version_opens() -> None:
    """Bytes written before there were envelopes, so that the twin of that code cannot err alone."""
    kept = bytes.fromhex(KEPT)
    assert RING.open(HOME, kept) == CANARY


@pytest.mark.parametrize("version", [0, 3, 255])
def test_unknown_version_is_refused(version: int) -> None:
    envelope = bytes([version]) + RING.seal(HOME, CANARY)[1:]
    assert EnvelopeLabel.read(envelope) is None
    with pytest.raises(SealError, match="not sealed in a form"):
        RING.open(HOME, envelope)


@pytest.mark.parametrize("count", [0, KEYS_MAX + 1])
def test_keyring_is_bounded(count: int) -> None:
    with pytest.raises(SealError):
        Keyring((KEY,) * count)


def test_keys_are_not_shown() -> None:
    assert "raw" not in repr(KEY)
    assert KEY.wrapping is not None  # derived, and not shown either
    for text in (repr(KEY), repr(RING), str(RING)):
        assert format_key(KEY.raw) not in text
        assert repr(KEY.raw)[2:-1] not in text
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


# ── Several keys ─────────────────────────────────────────────────────────────────────────────

TEXTS = [format_key(bytes(range(start, start + 32))) for start in range(KEYS_MAX + 1)]


@pytest.mark.parametrize("separator", [",", "\n", " , ", ",\n"])
def test_several_keys_read_back_in_order(separator: str) -> None:
    keys = parse_keys(separator.join(TEXTS[:3]) + "\n")
    assert [format_key(key) for key in keys] == TEXTS[:3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (",".join(TEXTS), "more than 8 keys"),
        (f"{TEXTS[0]},{TEXTS[0]}", "key 2 of 2 is there twice"),
        (f"{TEXTS[0]},hunter2", "key 2 of 2 must be 32 bytes"),
        (f"hunter2,{TEXTS[0]}", "key 1 of 2 must be 32 bytes"),
        (f"{TEXTS[0]},{format_key(bytes(32))}", "key 2 of 2 is one byte repeated"),
        ("A" * 5000, "more than 8 keys, or what is none"),
        ("", "must be 32 bytes"),
        (",", "must be 32 bytes"),
    ],
    ids=["many", "twice", "second", "first", "zeros", "long", "empty", "comma"],
)
def test_bad_key_among_several_is_told_by_its_place(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_keys(text)
    assert "hunter2" not in str(caught.value)
    assert TEXTS[0] not in str(caught.value)
