"""Signatures: judging is total, what is signed is accepted, and nothing else is."""

from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import ALGORITHMS, build_scheme
from app.providers.signatures.scheme import Scheme

NOW = 1_700_000_000.0
FREE = {"sha1", "sha256", "sha512"}
BODILESS = {"token", "basic"}
"""Schemes that sign nothing."""

CASED = {"shopify", "standard-webhooks", "twilio", "sendgrid"}
"""The others have hex in them, or the words Basic and Bearer, that may be in either case."""

PEM = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()  # fmt: skip
SECRETS = {
    "standard-webhooks": "whsec_" + b64encode(b"0123456789abcdef").decode(),
    "basic": "somebody:s3cret-of-theirs",
    "sendgrid": PEM,
}
SCHEMES: dict[str, Scheme] = {
    name: build_scheme(
        name, [SECRETS.get(name, "s3cret-of-theirs")], header="x-sig" if name in FREE else None
    )
    for name in ALGORITHMS
}
JOINS = ["sha256=", "v0=", "v1,", "v1=", "t=1700000000,", "Basic ", "Bearer ", ", ", ",", " ", "="]

LATIN = st.text(st.characters(max_codepoint=255), max_size=200)
DIGESTS = st.binary(max_size=70).flatmap(
    lambda data: st.sampled_from([data.hex(), b64encode(data).decode()])
)
NEAR = st.lists(st.one_of(st.sampled_from(JOINS), DIGESTS), max_size=6).map("".join)
VALUES = st.one_of(LATIN, NEAR, st.text(max_size=80), st.just("1700000000"))
FORMS = st.sampled_from([b"From=%2B371&Body=", b"a=1&b=2&a=0"])
BODIES = st.one_of(st.binary(max_size=200), FORMS)
MEDIA = st.sampled_from([None, "application/x-www-form-urlencoded", "application/json", "é;="])
URLS = st.one_of(st.just("https://a.example/x?bodySHA256=0"), st.text(max_size=60))

by_scheme = pytest.mark.parametrize("name", ALGORITHMS)


@by_scheme
@settings(max_examples=60)
@given(data=st.data(), body=BODIES, media=MEDIA, url=URLS)
def test_any_header_and_body_is_refused_and_never_an_error(
    name: str, data: st.DataObject, body: bytes, media: str | None, url: str
) -> None:
    scheme = SCHEMES[name]
    headers = {
        header: value
        for header in sorted(scheme.headers)
        if (value := data.draw(st.one_of(st.none(), VALUES))) is not None
    }
    if media is not None:
        headers["content-type"] = media
    verdict = scheme.judge(InboundRequest(headers, body, public_url=lambda: url), now_seconds=NOW)
    assert verdict.key is None
    assert verdict.reason
    assert verdict.detail
    assert "s3cret" not in verdict.detail


@by_scheme
@settings(max_examples=30)
@given(body=BODIES, place=st.integers(0), bit=st.integers(0, 7))
def test_what_is_signed_is_accepted_and_one_changed_bit_is_not(
    name: str, body: bytes, place: int, bit: int
) -> None:
    scheme = SCHEMES[name]
    headers = {"content-type": "application/x-www-form-urlencoded"}
    request = InboundRequest(headers, body, public_url=lambda: "https://a.example/x")
    request = replace(request, headers=headers | scheme.sign(request, now_seconds=NOW))
    assert scheme.judge(request, now_seconds=NOW).key == 0
    if body and name not in BODILESS:
        changed = replace(request, body=_flip(body, place, bit))
        # Twilio signs the fields of a form, and some bytes make no difference to those.
        assume(name != "twilio" or _fields(changed.body) != _fields(body))
        assert scheme.judge(changed, now_seconds=NOW).key is None


@by_scheme
@settings(max_examples=60)
@given(place=st.integers(0), bit=st.integers(0, 7), data=st.data())
def test_one_changed_bit_of_a_header_is_refused(
    name: str, place: int, bit: int, data: st.DataObject
) -> None:
    scheme = SCHEMES[name]
    request = InboundRequest({}, b"a=1", public_url=lambda: "https://a.example/x")
    signed = scheme.sign(request, now_seconds=NOW)
    header = data.draw(st.sampled_from(sorted(signed)))
    value = signed[header]
    changed = _flip(value.encode("latin-1"), place, bit).decode("latin-1")
    if name not in CASED:
        assume(changed.lower() != value.lower())
    request = replace(request, headers=signed | {header: changed})
    assert scheme.judge(request, now_seconds=NOW).key is None


@by_scheme
def test_a_header_that_came_twice_is_refused(name: str) -> None:
    scheme = SCHEMES[name]
    request = InboundRequest({}, b"a=1", public_url=lambda: "https://a.example/x")
    signed = scheme.sign(request, now_seconds=NOW)
    for header, value in signed.items():
        for twice in (f"{value}, {value}", f"{value}, x", f"x, {value}"):
            verdict = scheme.judge(
                replace(request, headers=signed | {header: twice}), now_seconds=NOW
            )
            assert verdict.key is None, (header, twice)


def _flip(data: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[place % len(data)] ^= 1 << bit
    return bytes(changed)


def _fields(body: bytes) -> bytes:
    from app.providers.signatures.twilio_urls import split_form

    values: dict[bytes, set[bytes]] = {}
    for key, value in split_form(body):
        values.setdefault(key, set()).add(value)
    return b"".join(key + value for key in sorted(values) for value in sorted(values[key]))
