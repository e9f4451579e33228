"""The diagnosis of a refusal: each usual mistake is named, and only what was made is."""

import base64
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.providers.provider import InboundRequest
from app.providers.signatures.body_variants import BODY_BYTES_MAX, body_variants
from app.providers.signatures.catalog import build_scheme
from app.providers.signatures.diagnosis import Refused, diagnose
from app.providers.signatures.scheme import Scheme

SECRET = "s3cret"
NOW = 1_700_000_000.0
VALUE = {"id": 9007199254740993, "text": "ā <b> a/b", "n": [1, 2]}
PRETTY = json.dumps(VALUE, indent=2, ensure_ascii=False).encode() + b"\n"
FORM = "application/x-www-form-urlencoded"


def built(algorithm: str, secrets: Sequence[str] = ("s3cret",)) -> Scheme:
    header = "x-sig" if algorithm.startswith("sha") else None
    return build_scheme(algorithm, secrets, header=header)


def hints(
    algorithm: str,
    request: InboundRequest,
    secrets: Sequence[str] = ("s3cret",),
    *,
    now: float = NOW,
) -> list[str]:
    scheme = built(algorithm, secrets)
    verdict = scheme.judge(request, now_seconds=now)
    assert not verdict.is_accepted
    return diagnose(Refused(scheme, secrets, request, verdict, now))


def signed(algorithm: str, request: InboundRequest, secret: str = SECRET) -> InboundRequest:
    headers = built(algorithm, [secret]).sign(request, now_seconds=NOW)
    return replace(request, headers={**request.headers, **headers})


def hmac_request(key: bytes, body: bytes, name: str = "sha256") -> InboundRequest:
    return InboundRequest({"x-sig": hmac.digest(key, body, name).hex()}, body)


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", ["sha256", "github", "stripe", "slack", "shopify"])
@pytest.mark.parametrize(
    ("arrived", "words"),
    [
        (json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False).encode(), "two, with a line feed"),
        (json.dumps(VALUE).encode(), "indented by two, with a line feed"),
        (PRETTY[:-1], "with a line feed behind it"),
        (PRETTY[:-1] + b"\r\n", "with line feeds alone"),
        (PRETTY.replace(b"\n", b"\r\n"), "with line feeds alone"),
        (b"\xef\xbb\xbf" + PRETTY, "without its byte order mark"),
        (PRETTY.decode("latin-1").encode(), "in latin-1, before it was taken"),
    ],
    ids=["compact", "ascii", "no-newline", "crlf-end", "crlf", "bom", "twice-encoded"],
)  # fmt: skip
def test_a_changed_body_is_recognized(algorithm: str, arrived: bytes, words: str) -> None:
    request = replace(signed(algorithm, InboundRequest({}, PRETTY)), body=arrived)
    found = hints(algorithm, request)
    assert found
    assert any(words in hint for hint in found), found
    assert all(hint.startswith("the signature fits the body ") for hint in found)


@pytest.mark.parametrize(
    ("original", "words"),
    [
        (json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False), "as compact JSON"),
        (json.dumps(VALUE, ensure_ascii=False), "with spaces after commas"),
        (json.dumps(VALUE, separators=(",", ":")), "everything beyond ASCII escaped"),
        (json.dumps(VALUE), "with spaces, everything beyond ASCII escaped"),
        (json.dumps(VALUE, indent=4, ensure_ascii=False), "indented by four"),
        (json.dumps(VALUE, separators=(",", ":")).replace("/", "\\/"), "as PHP writes"),
        (
            json.dumps(VALUE, separators=(",", ":"), ensure_ascii=False)
            .replace("<", "\\u003c").replace(">", "\\u003e"),
            "as Go writes",
        ),
    ],
)  # fmt: skip
def test_json_written_anew_is_recognized_by_its_style(original: str, words: str) -> None:
    request = replace(hmac_request(b"s3cret", original.encode()), body=PRETTY)
    assert any(words in hint for hint in hints("sha256", request))


def test_a_body_that_was_read_away_is_recognized() -> None:
    request = replace(hmac_request(b"s3cret", b""), body=PRETTY)
    (hint,) = hints("sha256", request)
    assert hint.startswith("the signature fits the body left out, as if it were empty:")


def test_nothing_is_made_up() -> None:
    assert hints("sha256", hmac_request(b"another", PRETTY)) == []
    assert hints("sha256", InboundRequest({"x-sig": "zz"}, PRETTY)) == []
    assert hints("github", InboundRequest({}, PRETTY)) == []


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 20_000, b'"\\ud800"', b"9" * 5000, b"NaN", PRETTY, b"\xff\n"]
)
def test_variants_are_total_distinct_and_never_the_body_itself(body: bytes) -> None:
    variants = [variant for _, variant in body_variants(body)]
    assert len(set(variants)) == len(variants)
    assert body not in variants


def test_huge_bodies_are_not_taken_apart() -> None:
    assert body_variants(b" " * (BODY_BYTES_MAX + 1)) == []


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────

RAW = bytes(range(24))
WHSEC = "whsec_" + base64.b64encode(RAW).decode()


@pytest.mark.parametrize(
    ("key", "configured", "words"),
    [
        (b"s3cret", "s3cret\n", "without the blanks"),
        (b"s3cret", '"s3cret"', "without the quotes"),
        (b"s3cret\n", "s3cret", "with a line feed"),
        (b"s3cret", "whsec_s3cret", "without whsec_"),
        (b"whsec_s3cret", "s3cret", "with whsec_"),
        (RAW, WHSEC, "decoded from base64"),
        (RAW, RAW.hex(), "decoded from hex"),
    ],
)
def test_a_secret_configured_otherwise_is_recognized(
    key: bytes, configured: str, words: str
) -> None:
    (hint,) = hints("sha256", hmac_request(key, PRETTY), ["x", configured])
    assert hint.startswith(f"the signature fits with the secret {words}")
    assert "s3cret" not in hint.replace("the secret", "")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (WHSEC.encode(), "as it is, in UTF-8"),
        (WHSEC.removeprefix("whsec_").encode(), "without whsec_"),
    ],
)
def test_a_key_of_standard_webhooks_taken_as_text_is_recognized(key: bytes, words: str) -> None:
    request = signed(
        "standard-webhooks", InboundRequest({}, PRETTY), base64.b64encode(key).decode()
    )
    (hint,) = hints("standard-webhooks", request, [WHSEC])
    assert hint == f"the signature fits with the secret {words}" + (
        " before it" if "whsec" in words else ""
    )


def test_stripe_secrets_keep_their_prefix() -> None:
    request = signed("stripe", InboundRequest({}, PRETTY), "whsec_abc")
    assert hints("stripe", request, ["abc"]) == [
        "the signature fits with the secret with whsec_ before it"
    ]


def test_bearer_in_a_header_of_its_own() -> None:
    scheme = build_scheme("token", ["s3cret"], header="x-token")
    request = InboundRequest({"x-token": "Bearer s3cret"}, b"")
    verdict = scheme.judge(request, now_seconds=NOW)
    found = diagnose(Refused(scheme, ["s3cret"], request, verdict, NOW))
    assert found == ["the signature fits with the secret with Bearer before it"]


def test_two_mistakes_at_once() -> None:
    request = replace(hmac_request(b"s3cret", PRETTY), body=PRETTY[:-1])
    (hint,) = hints("sha256", request, ["s3cret\n"])
    assert hint.endswith("two things are wrong")


# ── Form, time, headers, URL ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("algorithm", "header", "text", "words"),
    [
        ("sha256", "x-sig", hmac.digest(b"s3cret", PRETTY, "sha1").hex(), "sha1 in hex"),
        ("sha1", "x-sig", "sha256=" + hmac.digest(b"s3cret", PRETTY, "sha256").hex(), "sha256 in hex"),
        (
            "github", "x-hub-signature-256",
            base64.b64encode(hmac.digest(b"s3cret", PRETTY, "sha256")).decode(), "sha256 in base64",
        ),
        (
            "shopify", "x-shopify-hmac-sha256",
            hmac.digest(b"s3cret", PRETTY, "sha256").hex(), "sha256 in hex",
        ),
    ],
)  # fmt: skip
def test_another_hash_or_encoding_is_recognized(
    algorithm: str, header: str, text: str, words: str
) -> None:
    (hint,) = hints(algorithm, InboundRequest({header: text}, PRETTY))
    assert hint.startswith(f"the signature fits as {words} (algorithm sha")


def pem() -> str:
    return ec.derive_private_key(9, ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip


@pytest.mark.parametrize(
    ("algorithm", "secret"),
    [("stripe", "s3cret"), ("slack", "s3cret"), ("standard-webhooks", WHSEC), ("sendgrid", pem())],
)
def test_an_old_signature_is_told_from_a_wrong_one(algorithm: str, secret: str) -> None:
    request = signed(algorithm, InboundRequest({}, PRETTY), secret)
    for later in (NOW + 10**7, NOW - 10**7):
        assert hints(algorithm, request, [secret], now=later) == [
            "the signature itself is right: only its time is off"
        ]
        changed = replace(request, body=PRETTY[:-1])
        found = hints(algorithm, changed, [secret], now=later)
        assert found[0] == "apart from its time:"
        assert "with a line feed behind it" in found[1]
        assert hints(algorithm, replace(request, body=b"x"), [secret], now=later) == []


def test_headers_of_another_scheme_are_named() -> None:
    request = signed("slack", InboundRequest({"x-gitlab-token": "x"}, PRETTY))
    assert hints("github", request) == [
        "there is a header x-slack-signature, which belongs to slack",
        "there is a header x-gitlab-token, which belongs to token (header X-Gitlab-Token)",
    ]


@pytest.mark.parametrize(
    ("signed_url", "words"),
    [
        ("http://a.example/x/in?y=1", "with http, as before or behind a proxy"),
        ("https://b.example/x/in?y=1", "with the host of the header x-forwarded-host"),
        ("http://b.example/x/in?y=1", "with the host of the header x-forwarded-host"),
        ("https://c.example:8080/x/in?y=1", "with the host of the header host"),
        ("https://a.example/x/in/?y=1", "the slash at its end"),
        ("https://a.example/x/in", "without its query"),
    ],
)
def test_another_url_is_recognized(signed_url: str, words: str) -> None:
    headers = {"content-type": FORM, "x-forwarded-host": "b.example", "host": "c.example:8080"}
    unsigned = InboundRequest(headers, b"a=1", public_url=lambda: signed_url)
    request = replace(signed("twilio", unsigned), public_url=lambda: "https://a.example/x/in?y=1")
    (hint,) = hints("twilio", request)
    assert words in hint
    assert hint.endswith(signed_url)


def test_an_odd_url_ends_no_diagnosis() -> None:
    request = InboundRequest(
        {"x-twilio-signature": "A" * 27 + "="}, b"a=1", public_url=lambda: "https://["
    )
    assert hints("twilio", request) == []
