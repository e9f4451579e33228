"""What leaves a machine says the variables' values and holds no secret."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.bundle.archive import pack_bundle
from app.bundle.files import MemoryFiles
from app.bundle.preparing import PreparedAnswers, prepare_answers
from app.bundle.reading import read_bundle, referenced_secrets
from app.errors import BundleError
from app.stores.secrets import StoredSecret

MANIFEST = 'name: shop\nversion: "1"\n'
WEBHOOK = "events-webhook"
SENDGRID = "events-email-sendgrid"
TWILIO = "events-sms-twilio"


def bundle(answers: Any, manifest: str = MANIFEST, **tenants: Any) -> MemoryFiles:
    texts = {"greentic.demo.yaml": manifest, "answers.json": json.dumps(answers)}
    texts |= {f"tenants/{name}/answers.json": json.dumps(own) for name, own in tenants.items()}
    return MemoryFiles({name: text.encode() for name, text in texts.items()})


def answers_of(prepared: PreparedAnswers, file: str = "answers.json") -> Any:
    return json.loads(prepared.files.contents[file])


def stored(secrets: Mapping[str, str]) -> dict[str, StoredSecret]:
    return {name: StoredSecret(value, 1) for name, value in secrets.items()}


def ref(name: str) -> dict[str, str]:
    return {"$secret": name}


def test_variables_get_their_values_and_secrets_become_references() -> None:
    files = bundle(
        {
            WEBHOOK: {"secret_header": "$HEADER", "secret_key": "$KEY"},
            TWILIO: {"account_sid": "AC" + "0" * 32, "auth_token": "written-here"},
        }
    )
    prepared = prepare_answers(files, {"HEADER": "x-sig", "KEY": "from-outside"})
    assert answers_of(prepared) == {
        WEBHOOK: {"secret_header": "x-sig", "secret_key": ref("events-webhook.secret_key")},
        TWILIO: {"account_sid": "AC" + "0" * 32, "auth_token": ref("events-sms-twilio.auth_token")},
    }
    assert prepared.secrets == {
        "events-webhook.secret_key": "from-outside",
        "events-sms-twilio.auth_token": "written-here",
    }


def test_secrets_are_found_however_deep() -> None:
    answers = {
        WEBHOOK: {
            "signatures": {
                "stripe": {"algorithm": "stripe", "secrets": ["new", "$OLD"]},
                "shop": {"algorithm": "shopify", "secret": "s3cret"},
            }
        },
        SENDGRID: {
            "api_key": "SG.key",
            "from_email": "a@example.com",
            "inbound_parse": {"token": "t" * 20},
        },
    }
    prepared = prepare_answers(bundle(answers), {"OLD": "old"})
    assert prepared.secrets == {
        "events-webhook.signatures.stripe.secrets.0": "new",
        "events-webhook.signatures.stripe.secrets.1": "old",
        "events-webhook.signatures.shop.secret": "s3cret",
        "events-email-sendgrid.api_key": "SG.key",
        "events-email-sendgrid.inbound_parse.token": "t" * 20,
    }
    written = prepared.files.contents["answers.json"].decode()
    assert not [value for value in prepared.secrets.values() if f'"{value}"' in written]
    assert answers_of(prepared)[WEBHOOK]["signatures"]["stripe"]["algorithm"] == "stripe"


def test_a_server_reads_what_the_caller_would_have_read() -> None:
    answers = {
        WEBHOOK: {
            "secret_header": "x-sig",
            "secret_key": "$KEY",
            "public_base_url": "$URL",
            "signatures": {"pay": {"algorithm": "sha256", "header": "h", "secret": "$$literal"}},
        }
    }
    files = bundle(answers)
    environment = {"KEY": "$HOME", "URL": "https://example.com"}
    here = read_bundle(files, environment=environment)
    prepared = prepare_answers(files, environment)
    there = read_bundle(prepared.files, environment=None, secrets=stored(prepared.secrets))
    assert there.options == here.options
    assert there.secret_names == prepared.secrets.keys() == referenced_secrets(prepared.files)
    assert prepared.secrets["events-webhook.signatures.pay.secret"] == "$literal"


def test_what_only_looks_like_a_variable_stays_what_it_is() -> None:
    files = bundle(
        {WEBHOOK: {"public_base_url": "$URL", "webhook_allowed_origins": ["$$X", "a$b"]}}
    )
    prepared = prepare_answers(files, {"URL": "$$odd"})
    assert answers_of(prepared)[WEBHOOK] == {
        "public_base_url": "$$$odd",
        "webhook_allowed_origins": ["$$X", "a$b"],
    }
    assert prepare_answers(prepared.files, None).files.digest == prepared.files.digest


def test_preparing_twice_is_preparing_once() -> None:
    first = prepare_answers(bundle({WEBHOOK: {"secret_header": "h", "secret_key": "k"}}), {})
    again = prepare_answers(first.files, None)
    assert again.files.digest == first.files.digest
    assert again.secrets == {}


def test_answers_that_need_no_change_stay_byte_for_byte() -> None:
    text = b'{"events-timer":   {"timezone": "Europe/Berlin"}}\r\n'
    files = MemoryFiles({"greentic.demo.yaml": MANIFEST.encode(), "answers.json": text})
    assert prepare_answers(files, {}).files.digest == files.digest
    without = MemoryFiles({"greentic.demo.yaml": MANIFEST.encode()})
    assert prepare_answers(without, {}).files.digest == without.digest


def test_answers_in_yaml_stay_yaml() -> None:
    text = b"events-webhook:\n  secret_header: h # why\n  secret_key: 'k: 1'\n"
    files = MemoryFiles({"greentic.demo.yaml": MANIFEST.encode(), "answers.yaml": text})
    prepared = prepare_answers(files, {})
    assert prepared.secrets == {"events-webhook.secret_key": "k: 1"}
    bundled = read_bundle(prepared.files, secrets=stored(prepared.secrets))
    assert bundled.options == read_bundle(files).options


def test_every_unset_variable_is_named() -> None:
    files = bundle(
        {WEBHOOK: {"secret_header": "$ONE", "secret_key": "$TWO"}},
        acme={WEBHOOK: {"secret_key": "$THREE"}},
    )
    environments: list[dict[str, str] | None] = [{}, None]
    for environment in environments:
        with pytest.raises(BundleError, match="ONE is not set") as refused:
            prepare_answers(files, environment)
        assert len(refused.value.problems) == 3
        assert "THREE" in str(refused.value.problems[2])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(5, "must be text", id="number"),
        pytest.param({"a": "hunter2"}, "must be text", id="map"),
        pytest.param("hunter2" * 20_000, "must not be longer", id="long"),
    ],
)
def test_what_cannot_be_stored_is_refused_without_showing_it(value: Any, why: str) -> None:
    with pytest.raises(BundleError, match=why) as refused:
        prepare_answers(bundle({WEBHOOK: {"secret_header": "h", "secret_key": value}}), {})
    assert "hunter2" not in repr(refused.value.problems)


def test_a_secret_whose_name_cannot_be_one_is_refused() -> None:
    signatures = {"a b": {"algorithm": "stripe", "secret": "hunter2"}}
    with pytest.raises(BundleError, match="is no name of a secret") as refused:
        prepare_answers(bundle({WEBHOOK: {"signatures": signatures}}), {})
    assert "hunter2" not in repr(refused.value.problems)


def test_secrets_of_a_provider_that_is_off_are_secrets_too() -> None:
    prepared = prepare_answers(bundle({TWILIO: {"enabled": False, "auth_token": "token"}}), {})
    assert prepared.secrets == {"events-sms-twilio.auth_token": "token"}


def test_answers_that_nobody_can_judge_do_not_travel() -> None:
    answers = {
        "messaging-chat": {"token": "$UNSET"},
        "secrets-vault": {"token": "hunter2"},
        "events-unheard-of": {"enabled": False, "token": "hunter2"},
        WEBHOOK: {},
    }
    prepared = prepare_answers(bundle(answers), {})
    assert answers_of(prepared) == {"events-unheard-of": {"enabled": False}, WEBHOOK: {}}


def test_nothing_secret_shows_when_a_preparation_is_logged() -> None:
    prepared = prepare_answers(
        bundle({WEBHOOK: {"secret_header": "h", "secret_key": "sesame"}}), {}
    )
    assert "sesame" not in repr(prepared)
    assert b"sesame" not in pack_bundle(prepared.files).content


# ── Tenants' own answers ─────────────────────────────────────────────────────────────────────

OWN: dict[str, Any] = {
    "acme": {WEBHOOK: {"secret_key": "acme-key"}},
    "bolt": {WEBHOOK: {"secret_key": "$BOLT"}},
}
COMMON = {WEBHOOK: {"secret_header": "h", "secret_key": "common"}, TWILIO: {"auth_token": "t"}}


def test_tenants_secrets_are_named_with_the_tenant_in_front() -> None:
    prepared = prepare_answers(bundle(COMMON, **OWN), {"BOLT": "bolt-key"})
    assert prepared.secrets == {
        "events-webhook.secret_key": "common",
        "events-sms-twilio.auth_token": "t",
        "tenants.acme.events-webhook.secret_key": "acme-key",
        "tenants.bolt.events-webhook.secret_key": "bolt-key",
    }
    name = "tenants.acme.events-webhook.secret_key"
    assert answers_of(prepared, "tenants/acme/answers.json") == {WEBHOOK: {"secret_key": ref(name)}}


def test_for_one_tenant_nothing_of_the_others_travels() -> None:
    prepared = prepare_answers(bundle(COMMON, **OWN), {}, "acme")
    assert prepared.secrets == {
        "events-sms-twilio.auth_token": "t",
        "tenants.acme.events-webhook.secret_key": "acme-key",
    }
    assert "tenants/bolt/answers.json" not in prepared.files.contents
    assert referenced_secrets(prepared.files, "acme") == prepared.secrets.keys()


def test_for_a_tenant_without_answers_the_common_ones_travel() -> None:
    prepared = prepare_answers(bundle(COMMON, **OWN), {}, "cube")
    assert prepared.secrets.keys() == {"events-webhook.secret_key", "events-sms-twilio.auth_token"}
    assert not [name for name in prepared.files.contents if name.startswith("tenants/")]


def test_wrong_answers_are_refused() -> None:
    files = MemoryFiles({"greentic.demo.yaml": MANIFEST.encode(), "answers.json": b"{"})
    with pytest.raises(BundleError, match="no JSON"):
        prepare_answers(files, {})
