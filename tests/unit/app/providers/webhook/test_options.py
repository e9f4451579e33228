"""What a bundle may say about its webhooks, and how it hears what is wrong with that."""

from typing import Any

import pytest

from app.errors import SettingsError
from app.providers.catalog import find_provider
from app.providers.webhook.options import ALGORITHMS, WebhookOptions
from tests.support.webhooks import a_door, a_webhook

MARK = "hunter2"
"""Stands wherever a secret could: no text may repeat it."""


def entry(**more: Any) -> dict[str, Any]:
    return {"signatures": {"shop": {"algorithm": "sha256", "header": "x-sig", **more}}}


def problems(**options: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        a_webhook(**options)
    return list(caught.value.problems)


def test_defaults_are_those_of_the_contract() -> None:
    door = a_door()
    assert a_webhook().name == "events-webhook"
    assert door.body_bytes_max("event") == door.body_bytes_max("batch") == 768 * 1024
    assert door.sync_timeout_seconds == 5.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secret_key": "", "secret_header": "x"}, "secret_key: is empty"),
        ({"secret_key": "  ", "secret_header": "x"}, "secret_key: is empty"),
        ({"secret_key": "s" * 4097, "secret_header": "x"}, "secret_key: is longer than"),
        ({"secret_key": "\ud800", "secret_header": "x"}, "secret_key: is no text of Unicode"),
        ({"secret_key": "s"}, "secret_header is missing"),
        ({"secret_header": "x"}, "secret_key is missing"),
        ({"secret_key": "s", "secret_header": "a b"}, "secret_header: is no header name"),
        ({"secret_key": "s", "secret_header": ""}, "secret_header: is no header name"),
        ({"max_body_bytes": 0}, "max_body_bytes"),
        ({"max_body_bytes": 786433}, "max_body_bytes"),
        ({"max_body_bytes": True}, "max_body_bytes"),
        ({"sync_timeout_ms": -1}, "sync_timeout_ms"),
        ({"sync_timeout_ms": 60_001}, "sync_timeout_ms"),
        ({"dedup_window_hours": 73}, "dedup_window_hours"),
        ({"enabled": "yes"}, "enabled"),
        ({"public_base_url": "example.org"}, "public_base_url: must begin with http"),
        ({"secretkey": "s"}, "secretkey: is no option"),
        ({"webhook_allowed_origins": ["https://a.example"]}, "webhook_allowed_origins: takes"),
        ({"webhook_allowed_origins": [""]}, "webhook_allowed_origins: takes"),
        ({"webhook_allowed_origins": ["a"] * 101}, "webhook_allowed_origins: names more"),
        ({"signatures": {"github": {}}}, "signatures.github.algorithm: Field required"),
        ({"signatures": {"github": MARK}}, "signatures.github: "),
        (entry(), "signatures.shop: needs secret or secrets, and not both"),
        (entry(secret="a", secrets=["b"]), "signatures.shop: needs secret or secrets"),
        (entry(secret=""), "signatures.shop.secret: is empty"),
        (entry(secrets=["a", " "]), "signatures.shop.secrets: is empty"),
        (entry(secrets=[]), "signatures.shop.secrets"),
        (entry(secrets=["a"] * 17), "signatures.shop.secrets"),
        (entry(secret="a", tolerance_seconds=0), "signatures.shop.tolerance_seconds"),
        (entry(secret="a", tolerance_seconds=604_801), "signatures.shop.tolerance_seconds"),
        (entry(secret="a", algorithm="md5"), "signatures.shop.algorithm: is none of sha1"),
        (entry(secret="a", algorithm="twilio"), "signatures.shop.algorithm: is none of sha1"),
        (entry(secret="a", header="a b"), "signatures.shop: header"),
        (entry(secret="a", header=None), "signatures.shop: sha256 needs the name of the header"),
        (entry(secret="a", algorithm="github"), "signatures.shop: github has its signature in"),
        (entry(secret="a", key="b"), "signatures.shop.key: is no option"),
        ({"signatures": {"a.b": entry(secret="a")["signatures"]["shop"]}}, "signatures: 'a.b'"),
        ({"signatures": {"Shop": entry(secret="a")["signatures"]["shop"]}}, "signatures: 'Shop'"),
        (
            {"signatures": {"api_key": entry(secret="a")["signatures"]["shop"]}},
            "signatures: an entry cannot be called api_key",
        ),
        (
            {"signatures": {f"n{n}": entry(secret="a")["signatures"]["shop"] for n in range(101)}},
            "signatures: has more than 100",
        ),
    ],
)
def test_wrong_option_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    assert words in "; ".join(problems(**options))


def test_all_wrong_options_are_reported_at_once_and_no_value_is_repeated() -> None:
    found = problems(
        secret_key=[MARK],
        max_body_bytes=MARK,
        other=MARK,
        signatures={
            "one": {"algorithm": "sha256", "header": "x", "secret": [MARK]},
            "two": {"algorithm": MARK, "header": "x", "secret": MARK},
            "three": {"algorithm": "standard-webhooks", "secret": f"whsec_{MARK}!"},
            "four": {"algorithm": "basic", "secret": MARK},
        },
    )
    assert len(found) == 7
    assert MARK not in "; ".join(found)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_can_be_asked_for_and_hides_its_secret(algorithm: str) -> None:
    header = "x-sig" if algorithm in {"sha1", "sha256", "sha512"} else None
    secret = {
        "standard-webhooks": "whsec_aHVudGVyMmh1bnRlcjI=",
        "basic": f"user:{MARK}",
    }.get(algorithm, MARK)
    options = WebhookOptions.model_validate(
        {"signatures": {"a": {"algorithm": algorithm, "header": header, "secret": secret}}}
    )
    shown = repr(options) + str(options.model_dump()) + repr(a_webhook(**options.model_dump()))
    assert secret not in shown
    assert MARK not in shown


def test_global_secret_is_not_in_the_options_text() -> None:
    spec = find_provider("events-webhook")
    assert spec is not None
    options = spec.options_model.model_validate({"secret_header": "x", "secret_key": MARK})
    assert MARK not in repr(options) + str(options.model_dump())


@pytest.mark.parametrize(
    ("env", "options", "words"),
    [
        ("dev", {}, "anybody who reaches the port"),
        ("prod", {}, "in env prod every other one is refused"),
        ("dev", entry(secret="a"), "no secret but for shop: anybody"),
        ("prod", entry(secret="a"), "no secret but for shop: in env prod"),
        ("dev", {"allow_unsigned": True}, None),
        ("prod", {"allow_unsigned": True}, None),
        ("prod", {"secret_header": "x", "secret_key": "s"}, None),
    ],
)
def test_what_nobody_signs_is_warned_of_once_at_start(
    env: str, options: dict[str, Any], words: str | None
) -> None:
    warnings = a_webhook(env, **options).warnings
    assert len(warnings) == (words is not None)
    assert words is None or words in warnings[0]
