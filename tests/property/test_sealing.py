"""Whatever is done to a sealed value: it opens as it was, at its place, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SealError
from app.settings.secrets import ENVIRONMENT_PREFIX, variable_of
from app.stores.sealing import SEAL_BYTES, Keyring, Place, SealingKey
from app.stores.secrets import bucket_key, owner_and_name
from tests.support.seals import sealed_as_before

KEY = SealingKey(bytes(range(32)))
RING = Keyring((KEY,))
BOTH = Keyring((SealingKey(bytes(range(1, 33))), KEY))
MARK = b"canary-7f3a"

texts = st.text(st.characters(codec="utf-8"), max_size=8)
places = st.builds(Place, texts, texts, texts)
tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,10}", fullmatch=True)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
plain_tenants = st.from_regex(r"[a-z0-9][a-z0-9-]{0,6}", fullmatch=True)
capitals = st.from_regex(r"[A-Z][A-Z0-9_]{0,6}", fullmatch=True)


def test_every_flipped_bit_is_refused() -> None:
    place = Place("dev", "acme", "API_KEY")
    for envelope in (RING.seal(place, MARK), sealed_as_before(KEY, place, MARK)):
        for bit in range(len(envelope) * 8):
            changed = bytearray(envelope)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(SealError) as caught:
                BOTH.open(place, bytes(changed))
            assert "canary" not in str(caught.value)


@given(places, st.binary(max_size=300))
def test_sealed_value_opens_where_it_belongs(place: Place, content: bytes) -> None:
    envelope = RING.seal(place, content)
    assert BOTH.open(place, envelope) == content
    assert len(envelope) == SEAL_BYTES + len(content)


@given(places, places, st.booleans())
def test_records_cannot_be_swapped(one: Place, two: Place, is_old: bool) -> None:
    envelope = sealed_as_before(KEY, one, MARK) if is_old else RING.seal(one, MARK)
    if one == two:
        assert RING.open(two, envelope) == MARK
        return
    with pytest.raises(SealError):
        RING.open(two, envelope)


@given(st.binary(max_size=200))
def test_noise_never_opens(noise: bytes) -> None:
    for envelope in (noise, b"\x01" + KEY.key_id + noise, b"\x02" + KEY.key_id + noise):
        with pytest.raises(SealError):
            BOTH.open(Place("dev", "acme", "K"), envelope)


@given(places, places)
def test_places_never_share_their_bytes(one: Place, two: Place) -> None:
    assert (one.as_bytes() == two.as_bytes()) == (one == two)


@given(tenants, names)
def test_bucket_keys_round_trip(tenant: str, name: str) -> None:
    assert owner_and_name(bucket_key(tenant, name)) == (tenant, name)


@given(st.text(max_size=40))
def test_what_is_no_bucket_key_names_nobody(key: str) -> None:
    found = owner_and_name(key)
    assert found is None or bucket_key(*found) == key


@given(plain_tenants, capitals, plain_tenants, capitals)
def test_variables_of_two_secrets_are_two(one: str, a: str, two: str, b: str) -> None:
    same = variable_of(ENVIRONMENT_PREFIX, one, a) == variable_of(ENVIRONMENT_PREFIX, two, b)
    assert same == ((one, a) == (two, b))


@given(st.lists(st.sampled_from("a-"), max_size=4), st.lists(st.sampled_from("A_"), max_size=4))
def test_variables_tell_where_the_tenant_ends(tail: list[str], rest: list[str]) -> None:
    """Dashes at the end of the one, underscores in the other: where they would blur."""
    tenant, name = "a" + "".join(tail), "A" + "".join(rest)
    variable = variable_of(ENVIRONMENT_PREFIX, tenant, name).removeprefix(ENVIRONMENT_PREFIX)
    index = 0
    while True:
        start = variable.index("_", index)
        end = start
        while end < len(variable) and variable[end] == "_":
            end += 1
        if (end - start) % 2:
            break
        index = end
    assert variable[: end - 1].replace("__", "-").lower() == tenant
    assert variable[end:] == name
