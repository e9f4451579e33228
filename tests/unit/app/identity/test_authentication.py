"""From Authorization headers to principals: one answer to all that is wrong, and lock-outs."""

from typing import Any

import pytest

from actors.errors import UnavailableError
from app.errors import ApiKeyError, LockedOutError
from app.identity.authentication import Authenticator, bearer_token
from app.identity.lock_out import ADDRESS_FAILURES_MAX, LockOut
from app.identity.observations import GuessingLocked, KeyRefused
from app.identity.principal import Principal

GOOD = "gte_aaaaaaaa_" + "s" * 43
WRONG = "gte_bbbbbbbb_" + "s" * 43
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Ring:
    """One key."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_stale = False

    def find(self, token: str) -> Principal | None:
        if self.is_stale:
            raise UnavailableError("stale")
        self.asked.append(token)
        return Principal.of("aaaaaaaa", "ci", "acme", ["publish"]) if token == GOOD else None


class Observed(list[Any]):
    """What was observed."""

    def observe(self, observation: object) -> None:
        self.append(observation)


@pytest.fixture
def ring() -> Ring:
    return Ring()


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
def judge(ring: Ring, observed: Observed) -> Authenticator:
    return Authenticator(ring, LockOut(lambda: 0.0), observed)


def test_good_key_gives_its_principal(judge: Authenticator) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert judge.authenticate([f"{scheme} {GOOD}"], HERE).tenant == "acme"


@pytest.mark.parametrize(
    "headers",
    [[], [""], ["Bearer"], ["Bearer "], [GOOD], [f"Basic {GOOD}"], [f"Bearer {WRONG}"],
     [f"Bearer {GOOD}x"], [f"Bearer {GOOD}", f"Bearer {GOOD}"], [f"Bearer {GOOD}, x"],
     ["Bearer " + "x" * 30_000], ["Bearer \xff"]],
    ids=range(12),
)  # fmt: skip
def test_whatever_is_wrong_is_told_in_the_same_words(
    judge: Authenticator, headers: list[str]
) -> None:
    with pytest.raises(ApiKeyError) as refusal:
        judge.authenticate(headers, HERE)
    assert str(refusal.value) == "send 'Authorization: Bearer KEY' with an API key that is in force"


def test_guessing_locks_its_address_and_no_other(
    judge: Authenticator, ring: Ring, observed: Observed
) -> None:
    heard: list[GuessingLocked] = []
    judge.on_locked = heard.append
    for _ in range(ADDRESS_FAILURES_MAX):
        with pytest.raises(ApiKeyError):
            judge.authenticate([f"Bearer {WRONG}"], HERE)
    ring.asked.clear()
    with pytest.raises(LockedOutError) as locked:
        judge.authenticate([f"Bearer {GOOD}"], HERE)
    assert locked.value.retry_after_seconds == 1.0
    assert ring.asked == [], "nothing is judged while it is locked"
    assert judge.authenticate([f"Bearer {GOOD}"], THERE).prefix == "aaaaaaaa"
    assert [each.by for each in heard] == ["address"]
    assert observed.count(KeyRefused("unknown")) == ADDRESS_FAILURES_MAX
    assert observed.count(KeyRefused("locked")) == 1
    assert WRONG not in repr(observed)


def test_no_key_at_all_is_no_guess(judge: Authenticator) -> None:
    for _ in range(100):
        with pytest.raises(ApiKeyError):
            judge.authenticate([], HERE)
    assert judge.authenticate([f"Bearer {GOOD}"], HERE).name == "ci"


def test_stale_keys_open_nothing_and_count_nothing(judge: Authenticator, ring: Ring) -> None:
    ring.is_stale = True
    for _ in range(100):
        with pytest.raises(UnavailableError):
            judge.authenticate([f"Bearer {GOOD}"], HERE)
    ring.is_stale = False
    assert judge.authenticate([f"Bearer {GOOD}"], HERE).name == "ci"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("publish", "acme"), ("tenant-publish", "acme"), ("tenant-read", None), ("unheard-of", None)],
)
def test_ingress_finds_the_tenant_of_a_key_with_the_scope(
    judge: Authenticator, scope: str, expected: str | None
) -> None:
    assert judge.find_tenant(GOOD, scope, HERE) == expected


def test_token_of_another_service_counts_nowhere(judge: Authenticator, ring: Ring) -> None:
    for _ in range(100):
        assert judge.find_tenant("eyJhbGciOi", "publish", HERE) is None
    assert judge.find_tenant(GOOD, "publish", HERE) == "acme"
    assert ring.asked == [GOOD]


def test_guessing_at_the_ingress_is_locked_too(judge: Authenticator) -> None:
    for _ in range(ADDRESS_FAILURES_MAX):
        assert judge.find_tenant(WRONG, "publish", HERE) is None
    with pytest.raises(LockedOutError):
        judge.find_tenant(WRONG, "publish", HERE)


def test_two_headers_are_none() -> None:
    assert bearer_token(["Bearer a", "Bearer a"]) == ""
    assert bearer_token(["Bearer  a "]) == "a"
