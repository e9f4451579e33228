"""Names of Faust's things on NATS: each its own, readable back, within NATS's limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.history.transport import names
from app.history.transport.errors import InvalidNameError


@given(st.binary(max_size=200))
def test_a_key_is_read_back_from_its_subject(key: bytes) -> None:
    subject = names.keyed_subject("t", key)
    assert names.key_of(subject) == key
    assert subject.startswith("faust.t.k")
    assert not set(subject[8:]) & set(" .*>\r\n\t")


def test_no_key_is_not_the_empty_key() -> None:
    assert names.keyed_subject("t", None) == "faust.t._"
    assert names.keyed_subject("t", b"") == "faust.t.k"
    assert names.key_of("faust.t._") is None
    assert names.key_of("faust.t.k") == b""


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_different_topics_have_different_streams_of_legal_names(one: str, other: str) -> None:
    try:
        first, second = names.stream_name(one), names.stream_name(other)
    except (InvalidNameError, UnicodeEncodeError):
        return
    assert (first == second) == (one == other)
    assert all(
        character.isascii() and (character.isalnum() or character in "_-=") for character in first
    )


def test_plain_names_stay_as_they_are_and_others_are_spelt() -> None:
    assert names.stream_name("orders-v2_x") == "FAUST_orders-v2_x"
    assert names.stream_name("a.b") == "FAUST_a=2Eb"
    assert names.durable_name("ü") == "=C3=BC"


@pytest.mark.parametrize("topic", ["", "x" * 201, "." * 67])
def test_names_without_room_are_refused(topic: str) -> None:
    with pytest.raises(InvalidNameError):
        names.stream_name(topic)


def test_a_key_without_room_is_refused_with_both_sizes() -> None:
    names.keyed_subject("t", b"k" * 2048)
    with pytest.raises(InvalidNameError, match="2049 bytes; at most 2048"):
        names.keyed_subject("t", b"k" * 2049)
