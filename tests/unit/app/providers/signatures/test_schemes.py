"""What each scheme accepts and how it refuses: the cases that published vectors do not have."""

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import build_scheme
from app.providers.signatures.reading import CANDIDATES_MAX, HEADER_CHARS_MAX
from app.providers.signatures.scheme import (
    MALFORMED,
    MISMATCH,
    MISSING,
    TOO_NEW,
    TOO_OLD,
    Scheme,
    Verdict,
)

BODY = b'{"n": 1}'
NOW = 1_700_000_000.0
FORM = "application/x-www-form-urlencoded"
URL = "https://a.example/x?y=1"


def digest(secret: str, name: str = "sha256", body: bytes = BODY) -> bytes:
    return hmac.digest(secret.encode(), body, name)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def judged(scheme: Scheme, headers: dict[str, str], body: bytes = BODY, **more: Any) -> Verdict:
    return scheme.judge(InboundRequest(headers, body, **more), now_seconds=NOW)


def generic(name: str = "sha256", *secrets: str) -> Scheme:
    return build_scheme(name, secrets or ("s",), header="X-Sig")


# ── HMAC over the body ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_hex_or_base64_padded_or_not_with_or_without_prefix(name: str) -> None:
    given = digest("s", name)
    spellings = [given.hex(), given.hex().upper(), b64(given), b64(given).rstrip("=")]
    for text in [*spellings, *(f"{name}={text}" for text in spellings)]:
        assert judged(generic(name), {"x-sig": text}).key == 0, text


def test_the_position_of_the_matching_secret_is_told() -> None:
    scheme = generic("sha256", "a", "b", "c")
    for position, secret in enumerate("abc"):
        assert judged(scheme, {"x-sig": digest(secret).hex()}) == Verdict(key=position)


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (None, MISSING, "x-sig is missing"),
        ("", MISSING, "x-sig is empty"),
        ("  ", MISSING, "x-sig is empty"),
        ("a" * (HEADER_CHARS_MAX + 1), MALFORMED, "8193 characters"),
        ("é" * 64, MALFORMED, "no printable ASCII"),
        ("\x00" * 64, MALFORMED, "no printable ASCII"),
        (digest("s", "sha1").hex(), MALFORMED, "looks like sha1 in hex, but this scheme wants sha256"),
        (b64(digest("s", "sha512")), MALFORMED, "looks like sha512 in base64"),
        (digest("s").hex()[:-1], MALFORMED, "a character lost"),
        (digest("s").hex()[:-2], MALFORMED, "31 bytes in hex"),
        ("sha1=" + digest("s").hex(), MALFORMED, "another prefix than sha256="),
        ("sha256=", MALFORMED, "no sha256 in hex or base64"),
        (digest("s").hex() + ", " + digest("s").hex(), MALFORMED, "more than once"),
        (",".join(["0" * 64] * (CANDIDATES_MAX + 1)), MALFORMED, "33 signatures"),
        ("0" * 64, MISMATCH, "other bytes or was made with another secret"),
    ],
)  # fmt: skip
def test_refusals_say_why(value: str | None, reason: str, words: str) -> None:
    verdict = judged(generic(), {} if value is None else {"x-sig": value})
    assert (verdict.key, verdict.reason) == (None, reason)
    assert words in verdict.detail


def test_one_digest_has_one_spelling_in_base64() -> None:
    given = b64(digest("s")).rstrip("=")
    assert given[-1] in "AEIMQUYcgkosw048"
    other = given[:-1] + chr(ord(given[-1]) + 1)
    assert base64.b64decode(other + "=") == digest("s")
    assert judged(generic(), {"x-sig": other}).reason == MALFORMED


def test_url_safe_base64_is_named() -> None:
    body = next(
        bytes([n]) for n in range(256)
        if {"+", "/"} & set(b64(digest("s", body=bytes([n]))))
    )  # fmt: skip
    text = base64.urlsafe_b64encode(digest("s", body=body)).decode()
    assert "URL-safe base64" in judged(generic(), {"x-sig": text}, body).detail


def test_a_secret_is_used_as_it_is_blanks_and_all() -> None:
    assert judged(generic("sha256", " s "), {"x-sig": digest(" s ").hex()}).key == 0
    assert judged(generic("sha256", " s "), {"x-sig": digest("s").hex()}).reason == MISMATCH
    assert judged(generic("sha256", "ā"), {"x-sig": digest("ā").hex()}).key == 0


def test_github_wants_prefix_and_hex_in_its_own_header() -> None:
    scheme = build_scheme("github", ["s"])
    name = "x-hub-signature-256"
    assert judged(scheme, {name: "sha256=" + digest("s").hex()}).key == 0
    assert "begin with sha256=" in judged(scheme, {name: digest("s").hex()}).detail
    verdict = judged(scheme, {name: "sha256=" + b64(digest("s"))})
    assert "looks like sha256 in base64, but this scheme wants sha256 in hex" in verdict.detail
    assert judged(scheme, {"x-hub-signature": "sha256=" + digest("s").hex()}).reason == MISSING


def test_shopify_wants_base64() -> None:
    scheme = build_scheme("shopify", ["s"])
    name = "x-shopify-hmac-sha256"
    assert judged(scheme, {name: b64(digest("s"))}).key == 0
    verdict = judged(scheme, {name: digest("s").hex()})
    assert "looks like sha256 in hex, but this scheme wants sha256 in base64" in verdict.detail


# ── Timestamps ───────────────────────────────────────────────────────────────────────────────

TIMED = {"stripe": "s", "slack": "s", "standard-webhooks": "whsec_" + b64(b"k" * 24)}


@pytest.mark.parametrize("name", TIMED)
def test_the_tolerance_holds_both_ways_to_the_second(name: str) -> None:
    scheme = build_scheme(name, [TIMED[name]], tolerance_seconds=60)
    request = InboundRequest({}, BODY)
    request = replace(request, headers=scheme.sign(request, now_seconds=NOW))
    for seconds in (-60, 0, 60, 60.9):
        assert scheme.judge(request, now_seconds=NOW + seconds).is_accepted
    late = scheme.judge(request, now_seconds=NOW + 61)
    assert (late.reason, late.detail) == (
        TOO_OLD,
        "the timestamp is 61 s old, and 60 s are tolerated",
    )
    early = scheme.judge(request, now_seconds=NOW - 61)
    assert early.reason == TOO_NEW
    assert "61 s in the future" in early.detail


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1700000000000", "milliseconds, perhaps"),
        ("1700000000.5", "a fraction"),
        ("-1700000000", "no number of seconds"),
        ("+1700000000", "no number of seconds"),
        ("1_700_000_000", "no number of seconds"),
        ("0x65", "no number of seconds"),
        ("9" * 500, "no number of seconds"),
        ("2023-11-14T22:13:20Z", "no number of seconds"),
    ],
)
def test_odd_timestamps(text: str, words: str) -> None:
    stripe = judged(build_scheme("stripe", ["s"]), {"stripe-signature": f"t={text},v1={'0' * 64}"})
    slack = judged(
        build_scheme("slack", ["s"]),
        {"x-slack-signature": "v0=" + "0" * 64, "x-slack-request-timestamp": text},
    )
    for verdict in (stripe, slack):
        assert verdict.reason == MALFORMED
        assert words in verdict.detail


# ── Stripe and Slack ─────────────────────────────────────────────────────────────────────────


def stripe_item(secret: str, timestamp: int = int(NOW)) -> str:
    return digest(secret, body=f"{timestamp}.".encode() + BODY).hex()


def test_stripe_has_a_signature_for_each_secret_during_a_roll() -> None:
    value = f"t={int(NOW)},v1={stripe_item('old')},v1={stripe_item('new')},v0={'0' * 64}"
    for secret in ("old", "new"):
        assert judged(build_scheme("stripe", [secret]), {"stripe-signature": value}).key == 0
    assert judged(build_scheme("stripe", ["x", "new"]), {"stripe-signature": value}).key == 1
    assert judged(build_scheme("stripe", ["x"]), {"stripe-signature": value}).reason == MISMATCH


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("bad_header", "0 items t="),
        (f"t={int(NOW)}", "no item v1="),
        (f"t={int(NOW)},v0={stripe_item('s')}", "no item v1="),
        (f"v1={stripe_item('s')}", "0 items t="),
        (f"t={int(NOW)},t={int(NOW)},v1={stripe_item('s')}", "2 items t="),
        (f"t={int(NOW)},v1={stripe_item('s')}, t={int(NOW)},v1={stripe_item('s')}", "more than once"),
        (f"t={int(NOW)},v1=zz", "no sha256 in hex"),
        (f"t={int(NOW)}" + f",v1={'0' * 64}" * 33, "33 signatures"),
    ],
)  # fmt: skip
def test_stripe_headers_that_are_none(value: str, words: str) -> None:
    verdict = judged(build_scheme("stripe", ["s"]), {"stripe-signature": value})
    assert verdict.reason == MALFORMED
    assert words in verdict.detail


def test_stripe_uses_its_secret_whole() -> None:
    value = f"t={int(NOW)},v1={stripe_item('whsec_abc')}"
    assert judged(build_scheme("stripe", ["whsec_abc"]), {"stripe-signature": value}).key == 0
    assert judged(build_scheme("stripe", ["abc"]), {"stripe-signature": value}).key is None


def test_slack_needs_both_headers_and_its_version() -> None:
    scheme = build_scheme("slack", ["s"])
    headers = scheme.sign(InboundRequest({}, BODY), now_seconds=NOW)
    assert judged(scheme, headers).key == 0
    for name in headers:
        rest = {key: value for key, value in headers.items() if key != name}
        assert judged(scheme, rest).detail == f"the header {name} is missing"
    other = headers | {"x-slack-signature": "v1" + headers["x-slack-signature"][2:]}
    assert "begin with v0=" in judged(scheme, other).detail


# ── Standard Webhooks ────────────────────────────────────────────────────────────────────────


def ed25519_pair() -> tuple[str, str]:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
    public = private.public_key().public_bytes_raw()
    return "whpk_" + b64(public), "whsk_" + b64(b"\x07" * 32 + public)


def test_v1a_is_checked_with_the_public_key_and_made_with_the_private_one() -> None:
    public, private = ed25519_pair()
    headers = build_scheme("standard-webhooks", [private]).sign(
        InboundRequest({}, BODY), now_seconds=NOW
    )
    for secret in (public, private, public.rstrip("=")):
        assert judged(build_scheme("standard-webhooks", [secret]), headers).key == 0
    with pytest.raises(ValueError, match="only checks"):
        build_scheme("standard-webhooks", [public]).sign(InboundRequest({}, BODY), now_seconds=NOW)


def test_v1a_over_other_bytes_is_a_mismatch() -> None:
    public, private = ed25519_pair()
    unsigned = InboundRequest({}, BODY)
    headers = build_scheme("standard-webhooks", [private]).sign(unsigned, now_seconds=NOW)
    verdict = judged(build_scheme("standard-webhooks", [public]), headers, BODY + b" ")
    assert verdict.reason == MISMATCH


def test_both_versions_at_once_find_the_secret_that_fits() -> None:
    public, private = ed25519_pair()
    shared = TIMED["standard-webhooks"]
    unsigned = InboundRequest({"webhook-id": "msg_1"}, BODY)
    by = {
        secret: build_scheme("standard-webhooks", [secret]).sign(unsigned, now_seconds=NOW)
        for secret in (private, shared)
    }
    both = by[private] | {
        "webhook-signature": f"{by[private]['webhook-signature']} {by[shared]['webhook-signature']}"
    }
    other = "whsec_" + b64(b"o" * 24)
    assert judged(build_scheme("standard-webhooks", [other, shared]), both).key == 1
    assert judged(build_scheme("standard-webhooks", [other, public]), both).key == 1
    only_v1 = judged(build_scheme("standard-webhooks", [public]), by[shared])
    assert "there are v1 signatures, the secret is v1a" in only_v1.detail


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"webhook-id": ""}, "webhook-id is empty"),
        ({"webhook-id": "msg.1"}, "full stop"),
        ({"webhook-id": "m" * 257}, "longer than 256"),
        ({"webhook-signature": "v2," + b64(b"x" * 32)}, "no signature begins with v1"),
        ({"webhook-signature": "v1," + b64(b"x" * 31)}, "no whole digest"),
        ({"webhook-signature": b64(b"x" * 32)}, "no signature begins with v1"),
        ({"webhook-signature": "v1, x"}, "more than once"),
        ({"webhook-signature": " ".join(["v1,x"] * 33)}, "33 signatures"),
    ],
)
def test_standard_webhooks_headers_that_are_none(changes: dict[str, str], words: str) -> None:
    scheme = build_scheme("standard-webhooks", [TIMED["standard-webhooks"]])
    headers = scheme.sign(InboundRequest({"webhook-id": "msg_1"}, BODY), now_seconds=NOW)
    assert words in judged(scheme, headers | changes).detail


def test_the_full_stop_in_an_id_cannot_move_text_between_id_and_body() -> None:
    scheme = build_scheme("standard-webhooks", [TIMED["standard-webhooks"]])
    inner = b"1700000000.{}"
    headers = scheme.sign(InboundRequest({"webhook-id": "msg_1"}, inner), now_seconds=NOW)
    moved = headers | {"webhook-id": f"msg_1.{headers['webhook-timestamp']}"}
    assert judged(scheme, headers, inner).key == 0
    assert not judged(scheme, moved, b"{}").is_accepted


def test_an_id_is_made_where_there_is_none_and_kept_where_there_is_one() -> None:
    scheme = build_scheme("standard-webhooks", [TIMED["standard-webhooks"]])
    made = scheme.sign(InboundRequest({}, BODY), now_seconds=NOW)
    assert made == scheme.sign(InboundRequest({}, BODY), now_seconds=NOW)
    assert made["webhook-id"] != scheme.sign(InboundRequest({}, b""), now_seconds=NOW)["webhook-id"]
    assert judged(scheme, made).signed_id == made["webhook-id"]
    with pytest.raises(ValueError, match="full stop"):
        scheme.sign(InboundRequest({"webhook-id": "a.b"}, BODY), now_seconds=NOW)


# ── Secrets sent along ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["s3cret", "Bearer s3cret", "bearer  s3cret", " s3cret "])
def test_a_token_may_have_bearer_before_it(value: str) -> None:
    assert judged(build_scheme("token", ["x", "s3cret"]), {"authorization": value}).key == 1


def test_a_token_in_a_header_of_its_own_stands_alone() -> None:
    scheme = build_scheme("token", ["s3cret"], header="X-Gitlab-Token")
    assert scheme.headers == {"x-gitlab-token"}
    assert judged(scheme, {"x-gitlab-token": "s3cret"}).key == 0
    assert judged(scheme, {"x-gitlab-token": "Bearer s3cret"}).reason == MISMATCH
    assert judged(scheme, {"authorization": "s3cret"}).reason == MISSING
    assert scheme.sign(InboundRequest({}, b""), now_seconds=0) == {"x-gitlab-token": "s3cret"}


def test_a_token_beyond_ascii_arrives_as_latin_1_of_its_bytes() -> None:
    scheme = build_scheme("token", ["pärole"])
    headers = scheme.sign(InboundRequest({}, b""), now_seconds=0)
    assert headers == {"authorization": "Bearer " + "pärole".encode().decode("latin-1")}
    assert judged(scheme, headers).key == 0
    assert judged(scheme, {"authorization": "pārole"}).reason == MALFORMED


@pytest.mark.parametrize("name", ["token", "basic"])
def test_secrets_sent_along_are_bounded(name: str) -> None:
    verdict = judged(build_scheme(name, ["a:b"]), {"authorization": "Basic " + "A" * 9000})
    assert verdict.reason == MALFORMED
    assert "9006 characters" in verdict.detail


@pytest.mark.parametrize("secret", ["user:pass", "user:pa:ss", ":pass", "ūser:pārole"])
def test_basic_is_user_and_password(secret: str) -> None:
    scheme = build_scheme("basic", ["other:one", secret])
    for text in (b64(secret.encode()), b64(secret.encode()).rstrip("=")):
        for word in ("Basic", "basic", "BASIC"):
            assert judged(scheme, {"authorization": f"{word} {text}"}).key == 1
    assert judged(scheme, {"authorization": f"Basic {b64(b'user:wrong')}"}).reason == MISMATCH


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("user:pass", "does not begin with Basic"),
        ("Bearer abc", "does not begin with Basic"),
        ("Basic user:pass", "no base64"),
        (f"Basic {b64(b'userpass')}", "no user:password"),
        ("Basic", "does not begin with Basic"),
        ("Basic dXNlcg", "no user:password"),
    ],
)
def test_basic_headers_that_are_none(value: str, words: str) -> None:
    verdict = judged(build_scheme("basic", ["user:pass"]), {"authorization": value})
    assert verdict.reason == MALFORMED
    assert words in verdict.detail


# ── Twilio ───────────────────────────────────────────────────────────────────────────────────


def twilio(message: str, name: str = "sha1") -> dict[str, str]:
    return {
        "content-type": FORM,
        "x-twilio-signature": b64(hmac.digest(b"t", message.encode(), name)),
    }


def twilio_verdict(headers: dict[str, str], body: bytes, url: str = URL) -> Verdict:
    return judged(build_scheme("twilio", ["t"]), headers, body, public_url=lambda: url)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"b=2&a=1", "a1b2"),
        (b"Reason=x&ReasonConferenceEnded=y", "ReasonxReasonConferenceEndedy"),
        (b"a=2&a=1&a=2", "a1a2"),
        (b"a=&b=", "ab"),
        (b"a&b", "ab"),
        (b"a=+x+", "a x "),
        (b"a=%C4%81&%C4%93=1", "aāē1"),
        (b"a=b%3Dc%26d", "ab=c&d"),
        (b"a=1=2", "a1=2"),
        (b"&&a=1&", "a1"),
        (b"A=1&a=2&B=3", "A1B3a2"),
        (b"", ""),
    ],
)
def test_the_fields_of_a_form_are_signed(body: bytes, fields: str) -> None:
    assert twilio_verdict(twilio(URL + fields), body).key == 0


def test_bytes_that_are_no_utf_8_are_signed_as_they_are() -> None:
    signature = b64(hmac.digest(b"t", URL.encode() + b"a\xff", "sha1"))
    headers = {"content-type": FORM, "x-twilio-signature": signature}
    assert twilio_verdict(headers, b"a=%FF").key == 0
    assert twilio_verdict(headers, b"a=%FE").key is None


def test_a_body_that_is_no_form_needs_its_hash_in_the_query() -> None:
    url = f"{URL}&bodySHA256={hashlib.sha256(BODY).hexdigest()}"
    headers = twilio(url) | {"content-type": "application/json"}
    assert twilio_verdict(headers, BODY, url).key == 0
    assert twilio_verdict(headers, BODY + b"\n", url).reason == MISMATCH
    bare = twilio(URL) | {"content-type": "application/json"}
    assert "no bodySHA256" in twilio_verdict(bare, BODY).detail
    assert twilio_verdict(bare, b"").key == 0


def test_a_form_of_a_thousand_fields_is_the_largest() -> None:
    fields = [f"f{n:03}=" for n in range(1000)]
    message = URL + "".join(field[:-1] for field in fields)
    assert twilio_verdict(twilio(message), "&".join(fields).encode()).key == 0
    assert "1000 fields" in twilio_verdict(twilio(URL), b"&" * 1000).detail


def test_twilio_refusals() -> None:
    assert twilio_verdict({"content-type": FORM}, b"a=1").reason == MISSING
    assert "in base64" in twilio_verdict({"x-twilio-signature": "x"}, b"").detail
    assert "URL is not known" in twilio_verdict(twilio(URL), b"", "").detail
    settings = {"x-twilio-webhooks-signature-settings": "key=k,algorithm=HMAC_MD5"}
    assert "unknown algorithm" in twilio_verdict(twilio(URL) | settings, b"").detail
    settings = {"x-twilio-webhooks-signature-settings": "key=k"}
    assert twilio_verdict(twilio(URL) | settings, b"").key == 0
    assert "URL" in twilio_verdict(twilio("https://other.example/"), b"").detail
    # http is not https: no spelling crosses that.
    assert twilio_verdict(twilio(URL.replace("https", "http")), b"").key is None


@pytest.mark.parametrize("url", ["https://[", "https://a:b/", "//", "x", "https://a:99999/?a=%"])
def test_an_odd_url_is_its_own_only_spelling(url: str) -> None:
    assert twilio_verdict(twilio(url), b"", url).key == 0


def test_twilio_keys_in_turn() -> None:
    scheme = build_scheme("twilio", ["old", "t"])
    message = URL.replace("a.example", "a.example:443") + "a1"
    assert judged(scheme, twilio(message), b"a=1", public_url=lambda: URL).key == 1


# ── SendGrid ─────────────────────────────────────────────────────────────────────────────────


def pem_of(curve: ec.EllipticCurve) -> tuple[str, str, str]:
    private = ec.derive_private_key(5, curve)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        private.public_key().public_bytes(serialization.Encoding.PEM, spki).decode(),
        b64(private.public_key().public_bytes(serialization.Encoding.DER, spki)),
    )


def test_sendgrid_keys_come_in_three_forms() -> None:
    private, public_pem, public = pem_of(ec.SECP256R1())
    headers = build_scheme("sendgrid", [private]).sign(InboundRequest({}, BODY), now_seconds=NOW)
    for secret in (private, public_pem, public, f"{public[:60]}\n{public[60:]}\n"):
        assert judged(build_scheme("sendgrid", [secret]), headers).key == 0
    for secret in (public_pem, public):
        with pytest.raises(ValueError, match="only checks"):
            build_scheme("sendgrid", [secret]).sign(InboundRequest({}, BODY), now_seconds=NOW)


def test_sendgrid_may_repeat_for_three_days_unless_told_otherwise() -> None:
    private, _, _ = pem_of(ec.SECP256R1())
    scheme = build_scheme("sendgrid", [private])
    headers = scheme.sign(InboundRequest({}, BODY), now_seconds=NOW)
    request = InboundRequest(headers, BODY)
    assert scheme.judge(request, now_seconds=NOW + 3 * 86400).key == 0
    assert scheme.judge(request, now_seconds=NOW + 3 * 86400 + 1).reason == TOO_OLD
    assert scheme.judge(request, now_seconds=NOW - 301).reason == TOO_NEW
    strict = build_scheme("sendgrid", [private], tolerance_seconds=60)
    assert strict.judge(request, now_seconds=NOW + 61).reason == TOO_OLD


@pytest.mark.parametrize("value", ["x", "AAAA", "", "é", "A" * 200])
def test_sendgrid_signatures_that_are_none(value: str) -> None:
    _, _, public = pem_of(ec.SECP256R1())
    headers = {
        "x-twilio-email-event-webhook-signature": value,
        "x-twilio-email-event-webhook-timestamp": str(int(NOW)),
    }
    assert judged(build_scheme("sendgrid", [public]), headers).key is None


def test_sendgrid_takes_p_256_alone() -> None:
    _, _, public = pem_of(ec.SECP384R1())
    with pytest.raises(ValueError, match="P-256"):
        build_scheme("sendgrid", [public])
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    der = other.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(ValueError, match="P-256"):
        build_scheme("sendgrid", [b64(der)])
