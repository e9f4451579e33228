"""`signature check` and `signature sign`, as their user sees them."""

import hmac
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.cli import signature
from app.cli.main import run
from app.providers.signatures.catalog import ALGORITHMS

Out = Callable[[], tuple[str, str]]

BODY = b'{"id": 1, "text": "\xc4\x81"}\n'
HEX = hmac.digest(b"s3cret", BODY, "sha256").hex()
FREE = ("sha1", "sha256", "sha512")


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Out:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


@pytest.fixture
def body(tmp_path: Path) -> str:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    return str(path)


def call(verb: str, scheme: str, body: str, *more: str) -> int:
    return run(["signature", verb, "--scheme", scheme, "--body", body, *more])


def document(out: Out) -> Any:
    return json.loads(out()[0])


def pem() -> str:
    return ec.derive_private_key(11, ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip


SECRETS = {"standard-webhooks": "whsec_" + "QUJD" * 8, "basic": "user:pārole", "sendgrid": pem()}


@pytest.mark.parametrize("scheme", ALGORITHMS)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_signed_is_good(scheme: str, as_json: bool, body: str, out: Out) -> None:
    more = ["--secret", SECRETS.get(scheme, "s3cret"), "--now", "1700000000"]
    if scheme == "twilio":
        more += ["--url", "https://a.example/x"]
    shape = ["--json"] if as_json else []
    assert call("sign", scheme, body, *more, *shape) == 0
    shown = out()[0]
    lines = (
        [f"{name}: {value}" for name, value in json.loads(shown)["headers"].items()]
        if as_json
        else shown.splitlines()
    )
    headers = [part for line in lines for part in ("--header", line)]
    assert call("check", scheme, body, *more, *headers) == 0
    assert out()[0] == f"good: {scheme}, by secret 1 of 1\n"


def test_the_verdict_of_a_good_one_as_a_document(body: str, out: Out) -> None:
    more = ["--secret", "old", "--secret", "s3cret", "--header", f"X-Sig: sha256={HEX}", "--json"]
    assert call("check", "sha256", body, *more) == 0
    assert document(out) == {
        "verdict": "good", "scheme": "sha256", "key": 1, "signed_id": None, "reason": None,
        "detail": None, "hints": [],
    }  # fmt: skip


def test_a_bad_one_ends_with_1_and_says_why(tmp_path: Path, out: Out) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(BODY.rstrip())
    more = ["--secret", "s3cret", "--header", f"X-Sig: {HEX}"]
    assert call("check", "sha256", str(path), *more) == 1
    first, second = out()[0].splitlines()
    assert first.startswith("bad: the signature has the right form")
    assert first.endswith("[mismatch]")
    assert second == (
        "  the signature fits the body with a line feed behind it:"
        " the body was changed after it was signed"
    )
    assert call("check", "sha256", str(path), *more, "--json") == 1
    found = document(out)
    assert (found["verdict"], found["key"], found["reason"]) == ("bad", None, "mismatch")
    assert len(found["hints"]) == 1


def test_the_age_is_told(body: str, out: Out) -> None:
    secret = ["--secret", "s3cret"]
    assert call("sign", "stripe", body, *secret, "--now", "1700000000") == 0
    header = ["--header", out()[0].strip()]
    assert call("check", "stripe", body, *secret, *header, "--now", "1700000400") == 1
    assert out()[0].splitlines() == [
        "bad: the timestamp is 400 s old, and 300 s are tolerated [too_old]",
        "  the signature itself is right: only its time is off",
    ]
    tolerant = ["--now", "1700000400", "--tolerance", "400"]
    assert call("check", "stripe", body, *secret, *header, *tolerant) == 0
    assert call("check", "stripe", body, *secret, *header) == 1
    assert "[too_old]" in out()[0].splitlines()[-2]


def test_secrets_come_from_the_environment_behind_those_given(
    body: str, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    more = ["--secret-env", "HOOK_SECRET", "--secret", "old", "--header", f"X-Sig:{HEX}"]
    assert call("check", "sha256", body, *more) == 0
    assert out()[0] == "good: sha256, by secret 2 of 2\n"
    assert call("check", "sha256", body, "--secret-env", "NO_SUCH_NAME") == 1
    assert "NO_SUCH_NAME is not set" in out()[1]


def test_the_body_may_come_by_standard_input(out: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BODY), "utf-8"))
    assert call("check", "sha256", "-", "--secret", "s3cret", "--header", f"X-Sig:{HEX}") == 0
    assert out()[0].startswith("good")


def test_the_header_of_a_generic_scheme(body: str, out: Out) -> None:
    secret = ["--secret", "s3cret"]
    one = ["--header", "Content-Type: application/json", "--header", f"X-One: {HEX}"]
    assert call("check", "sha256", body, *secret, *one) == 0
    two = [*one, "--header", "X-Two: 1"]
    assert call("check", "sha256", body, *secret, *two) == 1
    assert "the header x-webhook-signature is missing" in out()[0]
    assert call("check", "sha256", body, *secret, *two, "--signature-header", "X-One") == 0
    assert call("sign", "sha256", body, *secret) == 0
    assert out()[0].splitlines()[-1] == f"x-webhook-signature: {HEX}"


def test_a_header_given_twice_arrives_joined(body: str, out: Out) -> None:
    twice = ["--header", f"X-Sig: {HEX}"] * 2
    assert call("check", "sha256", body, "--secret", "s3cret", *twice) == 1
    assert "more than once" in out()[0]


@pytest.mark.parametrize(
    ("scheme", "more", "words"),
    [
        ("md5", ["--secret", "s3cret"], "no such algorithm"),
        ("sha256", [], "there is no secret"),
        ("sha256", ["--secret", ""], "the secret is empty"),
        ("standard-webhooks", ["--secret", "whsec_"], "the secret is empty"),
        ("sha256", ["--secret", "s3cret", "--header", "no colon"], "NAME:VALUE"),
        ("sha256", ["--secret", "s3cret", "--header", ": x"], "NAME:VALUE"),
        ("sha256", ["--secret", "s3cret", "--now", "nan"], "since 1970"),
        ("sha256", ["--secret", "s3cret", "--now", "1700000000000"], "since 1970"),
        ("stripe", ["--secret", "s3cret", "--tolerance", "0"], "tolerance"),
        ("github", ["--secret", "s3cret", "--signature-header", "X-Sig"], "always"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "sign"])
def test_wrong_options_are_no_verdict(
    verb: str, scheme: str, more: list[str], words: str, body: str, out: Out
) -> None:
    assert call(verb, scheme, body, *more) == 1
    shown, aside = out()
    assert shown == ""
    assert words in aside
    assert "s3cret" not in aside
    assert call(verb, scheme, body, *more, "--json") == 1
    assert document(out)["error"]["code"] == "cli.refused"


def test_what_cannot_be_signed_is_told(body: str, out: Out) -> None:
    more = ["--secret", "whpk_" + "A" * 43]
    assert call("sign", "standard-webhooks", body, *more) == 1
    assert "only checks" in out()[1]
    more = ["--secret", "s3cret", "--header", "content-type: application/json"]
    assert call("sign", "twilio", body, *more, "--url", "https://a.example/") == 1
    assert "no bodySHA256" in out()[1]


def test_bodies_are_files_of_a_sensible_size(
    body: str, tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("check", "sha256", str(tmp_path / "absent"), "--secret", "s3cret") == 1
    assert "No such file" in out()[1]
    monkeypatch.setattr(signature, "BODY_BYTES_MAX", 3)
    assert call("sign", "sha256", body, "--secret", "s3cret") == 1
    assert "larger than 3 bytes" in out()[1]
