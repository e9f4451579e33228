"""The catalogue: what makes a scheme, and what is refused before any request comes."""

import pytest

from app.providers.signatures.catalog import ALGORITHMS, SECRETS_MAX, build_scheme

SECRET = "ZXZlbnRzLWFyZS1mdW4tdG8tc2lnbg=="
FREE = {"sha1", "sha256", "sha512", "token", "basic"}
FIXED = {
    "github": "X-Hub-Signature-256", "shopify": "X-Shopify-Hmac-Sha256",
    "stripe": "Stripe-Signature", "slack": "X-Slack-Signature",
    "standard-webhooks": "webhook-signature", "twilio": "X-Twilio-Signature",
}  # fmt: skip


def test_the_algorithms_of_the_contract_are_there() -> None:
    assert set(ALGORITHMS) == FREE | set(FIXED) | {"sendgrid"}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("secret", ["", " ", "\n\t", "\ud800"])
def test_no_scheme_takes_an_empty_secret(name: str, secret: str) -> None:
    with pytest.raises(ValueError) as caught:
        build_scheme(name, [secret], header="x-sig" if name in FREE else None)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("secret", ["whsec_", "whsec_==", "whpk_", "whsk_", " whsec_ "])
def test_a_prefix_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        build_scheme("standard-webhooks", [secret])


@pytest.mark.parametrize(
    ("name", "secret", "words"),
    [
        ("standard-webhooks", "whsec_&%@zz", "no base64"),
        ("standard-webhooks", "whsec_QUJDR", "no base64"),
        ("standard-webhooks", "whpk_QUJD", "32 bytes, not 3"),
        ("standard-webhooks", "whsk_QUJD", "32 or 64 bytes, not 3"),
        ("standard-webhooks", "whsk_" + "QUJD" * 21 + "QQ==", "do not belong together"),
        ("basic", "zzpassword", "no user:password"),
        ("basic", "zzuser:", "no user:password"),
        ("basic", "zz:a\nb", "control characters"),
        ("token", " zz", "blanks"),
        ("token", "zz\n", "blanks"),
        ("token", "zz\r\nx: y", "control characters"),
        ("sendgrid", "zz", "no public key"),
        ("sendgrid", "-----BEGIN PRIVATE KEY-----\nzz\n-----END PRIVATE KEY-----", "no public key"),
        ("sendgrid", "-----BEGIN PUBLIC KEY-----\nzz\n-----END PUBLIC KEY-----", "no public key"),
    ],
)
def test_malformed_secrets_are_refused_and_not_repeated(name: str, secret: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        build_scheme(name, [secret])
    assert words in str(caught.value)
    assert "zz" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_headers_are_named_where_they_are_free_and_only_there() -> None:
    for name in ("sha1", "sha256", "sha512"):
        with pytest.raises(ValueError, match=f"{name} needs the name"):
            build_scheme(name, [SECRET])
        assert build_scheme(name, [SECRET], header="X-Sig").headers == {"x-sig"}
    for name, header in FIXED.items():
        assert header.lower() in build_scheme(name, [SECRET], header=header).headers
        with pytest.raises(ValueError, match="always"):
            build_scheme(name, [SECRET], header="x-sig")
    for header in ("", "x sig", "x:y", "é", "x" * 129):
        with pytest.raises(ValueError, match="no header's name"):
            build_scheme("sha256", [SECRET], header=header)


def test_counts_and_names_are_bounded() -> None:
    for secrets in ([], [SECRET] * (SECRETS_MAX + 1)):
        with pytest.raises(ValueError, match="1 to 16 secrets"):
            build_scheme("github", secrets)
    for tolerance in (0, -1, 7 * 86400 + 1):
        with pytest.raises(ValueError, match="tolerance"):
            build_scheme("stripe", [SECRET], tolerance_seconds=tolerance)
    with pytest.raises(ValueError, match="there are sha1, sha256"):
        build_scheme("md5", [SECRET])


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"sendgrid"}))
def test_no_secret_shows_in_a_scheme(name: str) -> None:
    secret = "user:" + SECRET if name == "basic" else SECRET
    scheme = build_scheme(name, [secret], header="x-sig" if name in FREE else None)
    assert scheme.name == name
    assert SECRET not in repr(scheme)
    assert "events-are" not in repr(scheme)
