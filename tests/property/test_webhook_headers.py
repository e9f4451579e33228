"""Whatever stands in a header, a wrong signature is a SignatureError and nothing else."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SignatureError
from app.providers.signatures.catalog import build_scheme
from app.providers.webhook.options import ALGORITHMS
from tests.support.webhooks import BODY, a_batch, a_door, a_request

NOW = 1_700_000_000
SECRETS = {
    "standard-webhooks": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    "basic": "user:password",
}
ODD = [
    "", " ", "é", "\xff" * 40, "sha256=", "sha256=0", "=" * 44, "0" * 63, "0" * 64, "A" * 43, "t=",
    "t=,v1=", f"t={NOW},v1=", f"t={NOW},v1=zz", "t=1e9,v1=0", f"t={'9' * 400},v1=00", "v0=",
    "v1,", "v1a," + "A" * 88, "Basic", "Basic ", "Basic 8J+Y", "Bearer", "Bearer ", ", ", "a, b",
    "-1", "1.5", "٣", str(NOW), "9" * 5000, "0" * 100_000, "\x00", "nan", "0x1", "Basic " + "A" * 9,
]  # fmt: skip

values = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(max_codepoint=255), max_size=80),
    st.text(string.hexdigits, min_size=60, max_size=66).map("sha256={}".format),
    st.tuples(st.integers(), st.text(string.printable, max_size=70)).map(
        "t={0[0]},v1={0[1]}".format
    ),
)


def entry(algorithm: str) -> dict[str, Any]:
    found = {"algorithm": algorithm, "secret": SECRETS.get(algorithm, "secret")}
    if algorithm in {"sha1", "sha256", "sha512"}:
        found["header"] = "x-sig"
    return found


DOORS = {
    name: a_door("prod", signatures={"v": entry(name)}, now_seconds=NOW) for name in ALGORITHMS
}
BATCH = a_door("prod", secret_header="x-sig", secret_key="secret", now_seconds=NOW)


def names_of(algorithm: str) -> list[str]:
    found = entry(algorithm)
    return sorted(build_scheme(algorithm, [found["secret"]], header=found.get("header")).headers)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_hostile_headers_are_no_signature(algorithm: str, data: st.DataObject) -> None:
    names = names_of(algorithm)
    headers = data.draw(st.dictionaries(st.sampled_from(names), values))
    with pytest.raises(SignatureError):
        DOORS[algorithm].verify(a_request(BODY, "v.x", headers=headers))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_each_odd_value_in_every_header_is_no_signature(algorithm: str, value: str) -> None:
    headers = dict.fromkeys(names_of(algorithm), value)
    with pytest.raises(SignatureError):
        DOORS[algorithm].verify(a_request(BODY, "v.x", headers=headers))


@given(st.dictionaries(st.sampled_from(["authorization", "x-sig"]), values))
def test_hostile_headers_open_no_batch(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        BATCH.verify(a_batch(BODY, headers=headers))
