"""No text can make two scopes or keys meet in the bucket."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import InvalidSubjectError
from actors.ports import StateScope
from app.stores.kv import KvBucket
from app.stores.state import bucket_key

TENANTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["", "-", "x", "x-", ".", "a.b", "*", ">", "acme", "acme.-.-.k", "$KV"]
)
SCOPES = st.builds(StateScope, TENANTS, st.none() | TEXTS, st.none() | TEXTS)


@given(SCOPES, TEXTS)
def test_key_stays_below_its_tenant(scope: StateScope, key: str) -> None:
    tokens = bucket_key(scope, key).split(".")
    assert len(tokens) == 4
    assert tokens[0] == scope.tenant
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", token) for token in tokens)


@given(SCOPES, TEXTS, SCOPES, TEXTS)
def test_different_names_give_different_keys(
    one: StateScope, key: str, other: StateScope, other_key: str
) -> None:
    is_same = (one, key) == (other, other_key)
    assert (bucket_key(one, key) == bucket_key(other, other_key)) is is_same


@given(st.text(max_size=20))
def test_tenant_is_a_token_or_refused(tenant: str) -> None:
    try:
        key = bucket_key(StateScope(tenant), "k")
    except InvalidSubjectError:
        return
    assert key.split(".")[0] == tenant


@given(SCOPES, TEXTS)
def test_every_key_is_a_literal_subject_of_its_bucket(scope: StateScope, key: str) -> None:
    class NoBus:
        async def request(self, *_: object, **__: object) -> object:
            pytest.fail("not asked")

    bucket = KvBucket(NoBus(), "state-dev")  # type: ignore[arg-type]
    name = bucket_key(scope, key)
    assert bucket._subject(name) == f"$KV.state-dev.{name}"
