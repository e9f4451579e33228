"""Hostile Authorization headers: always a 401 or a 429, after the same work."""

import hmac
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from actors.testing.clock import VirtualClock
from app.errors import ApiKeyError, LockedOutError
from app.http.client_address import client_address
from app.http.problems import problem_of
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.stores.api_key import KeyText, matches, new_text, parse_text
from app.stores.key_ring import ApiKeyRing
from tests.support.bus import DeafObserver
from tests.support.key_rings import a_ring, a_stored_key

LATIN = st.text(st.characters(max_codepoint=255), max_size=300)
KEY_LIKE = st.from_regex(r"gte_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", fullmatch=True)
NEAR = st.builds(lambda text, tail: f"gte_{text}_{tail}", LATIN, LATIN)
HEADERS = st.lists(
    st.builds(
        lambda scheme, space, token: f"{scheme}{space}{token}",
        st.sampled_from(["Bearer", "bearer", "Basic", "", "Bearer\t", "BEARER"]),
        st.sampled_from([" ", "", "  ", "\t"]),
        LATIN | KEY_LIKE | NEAR,
    )
    | LATIN,
    max_size=3,
)


@given(HEADERS, LATIN)
def test_whatever_is_sent_without_a_key_is_refused_and_told_nothing(
    headers: list[str], address: str
) -> None:
    judge = Authenticator(a_ring([a_stored_key(new_text())]), LockOut(lambda: 0.0), DeafObserver())
    for _ in range(8):
        try:
            judge.authenticate(headers, address)
        except (ApiKeyError, LockedOutError) as error:
            problem = problem_of(error)
            assert problem.status in (401, 429)
            assert ("retry-after" in problem.headers) == (problem.status == 429)
            assert all(not header or header not in problem.detail for header in headers
                       if len(header) > 20)  # fmt: skip
        else:
            raise AssertionError("somebody without a key came in")


@given(LATIN, LATIN)
def test_address_is_always_told(client: str, forwarded: str) -> None:
    found = client_address({"client": (client, 1)}, {"x-forwarded-for": forwarded}, ())
    assert found == client


class Counted:
    """Counts comparisons and hashes."""

    def __init__(self) -> None:
        self.comparisons = 0

    def compare(self, one: bytes, other: bytes) -> bool:
        self.comparisons += 1
        return hmac.compare_digest(one, other)


@given(KEY_LIKE | NEAR | LATIN)
def test_every_token_costs_one_comparison(token: str) -> None:
    good = new_text()
    ring = a_ring([a_stored_key(good)])
    known_prefix = str(KeyText(good.prefix, "x" * 43))
    counts = [_comparisons(ring, each) for each in (token, known_prefix, str(good), "", "gte_")]
    assert counts == [1] * 5


def _comparisons(ring: ApiKeyRing, token: str) -> int:
    counted = Counted()
    with patch("app.stores.api_key.hmac", SimpleNamespace(compare_digest=counted.compare)):
        ring.find(token)
    return counted.comparisons


@given(KEY_LIKE)
def test_only_the_very_secret_matches(token: str) -> None:
    text, good = parse_text(token), new_text()
    assert text is not None
    found = matches(KeyText(good.prefix, text.secret), [a_stored_key(good)])
    assert (found is not None) is (text.secret == good.secret)


def test_clock_of_the_ring_is_the_only_one() -> None:
    clock = VirtualClock()
    good = new_text()
    ring = a_ring([a_stored_key(good, expires_ms=clock.now_ms() + 1)], clock)
    assert ring.find(str(good)) is not None
