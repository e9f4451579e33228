"""Answers: what is on, what this version lacks, and who expands `$NAME`."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from app.bundle.answers import TIMER, WEBHOOK, Answers, Lookups, read_answers
from app.bundle.json_document import read_json
from app.bundle.models import ProviderEntry
from app.providers.timer.options import TimerOptions
from app.providers.webhook.options import WebhookOptions


def answered(
    answers: Any,
    *,
    listed: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    stand_ins: Mapping[str, Mapping[str, Any]] | None = None,
) -> Answers:
    document = read_json(msgspec.json.encode(answers).decode(), "answers.json")
    lookups = Lookups(environment, stand_ins=stand_ins or {})
    return read_answers(document, {name: ProviderEntry() for name in listed}, lookups)


def codes(answers: Answers) -> list[tuple[str, str]]:
    return [(problem.severity, problem.code) for problem in answers.problems]


def test_options_come_out_checked() -> None:
    found = answered(
        {
            WEBHOOK: {"enabled": True, "sync_timeout_ms": 100, "dedup_window_hours": 48},
            TIMER: {"enabled": True, "timezone": "Asia/Jakarta"},
        }
    )
    webhook, timer = found.options[WEBHOOK], found.options[TIMER]
    assert found.problems == ()
    assert isinstance(webhook, WebhookOptions)
    assert (webhook.sync_timeout_ms, webhook.dedup_window_hours) == (100, 48)
    assert timer == TimerOptions(timezone="Asia/Jakarta")


@pytest.mark.parametrize(
    ("answers", "listed", "on"),
    [
        ({}, (), {WEBHOOK, TIMER}),
        (None, (), {WEBHOOK, TIMER}),
        ({}, (WEBHOOK,), {WEBHOOK}),
        ({TIMER: {}}, (WEBHOOK,), {WEBHOOK, TIMER}),
        ({WEBHOOK: {"enabled": False}}, (), {TIMER}),
        ({WEBHOOK: {"enabled": False}}, (WEBHOOK, TIMER), {TIMER}),
    ],
)
def test_a_provider_is_on_when_answered_listed_or_nothing_is_listed(
    answers: Any, listed: tuple[str, ...], on: set[str]
) -> None:
    found = answered(answers, listed=listed)
    assert set(found.options) == on
    assert found.problems == ()


def test_the_callers_variables_are_expanded() -> None:
    options = {"secret_header": "X-Sig", "secret_key": "$HOOK_SECRET"}
    found = answered({WEBHOOK: options}, environment={"HOOK_SECRET": "s3cret-value-of-mine"})
    webhook = found.options[WEBHOOK]
    assert isinstance(webhook, WebhookOptions)
    assert webhook.secret_key is not None
    assert webhook.secret_key.get_secret_value() == "s3cret-value-of-mine"


def test_two_dollars_stand_for_one() -> None:
    options = {"secret_header": "X-Sig", "secret_key": "$$dollar-first"}
    webhook = answered({WEBHOOK: options}, environment={}).options[WEBHOOK]
    assert isinstance(webhook, WebhookOptions)
    assert webhook.secret_key is not None
    assert webhook.secret_key.get_secret_value() == "$dollar-first"


def test_an_unset_variable_turns_its_provider_off() -> None:
    options = {"secret_header": "X-Sig", "secret_key": "$ABSENT"}
    found = answered({WEBHOOK: options}, environment={})
    assert ("error", "bundle.variable_unset") in codes(found)
    assert "ABSENT" in found.problems[0].message
    assert WEBHOOK not in found.options


def test_a_server_never_expands() -> None:
    options = {"secret_header": "X-Sig", "secret_key": "$HOME"}
    found = answered({WEBHOOK: options}, environment=None)
    assert ("error", "bundle.unexpanded") in codes(found)
    assert WEBHOOK not in found.options


@pytest.mark.parametrize(
    ("name", "options", "missing"),
    [
        ("events-email-sendgrid", {}, "api_key and from_email are missing"),
        ("events-email-smtp", {}, "host"),
        ("events-sms-twilio", {"account_sid": "AC" + "0" * 32}, "auth_token"),
    ],
)
def test_options_that_are_missing_are_named(
    name: str, options: dict[str, str], missing: str
) -> None:
    found = answered({name: options})
    assert {code for _, code in codes(found)} <= {"bundle.value", "bundle.missing_key"}
    assert missing in found.problems[0].message
    assert name not in found.options
    assert answered({name: {"enabled": False}}).problems == ()
    assert codes(answered({name: "on"})) == [("error", "bundle.value")]


def test_a_provider_that_nobody_brings_is_named() -> None:
    assert codes(answered({"events-pager": {}})) == [("error", "bundle.unsupported")]


def test_a_misspelt_provider_is_guessed() -> None:
    (problem,) = answered({"events-webhok": {}}).problems
    assert problem.hint == "did you mean 'events-webhook'?"


def test_other_kinds_are_reported_once_and_skipped() -> None:
    found = answered({"messaging-slack": {"enabled": True}, "component-llm-openai": {"k": 1}})
    assert codes(found) == [("warning", "bundle.skipped")]
    assert "messaging-slack, component-llm-openai" in found.problems[0].message
    assert set(found.options) == {WEBHOOK, TIMER}


def test_half_a_signature_turns_webhooks_off() -> None:
    found = answered({WEBHOOK: {"signatures": {"github": {"secret": "x"}}}})
    assert codes(found) == [("error", "bundle.missing_key")]
    assert WEBHOOK not in found.options
    assert answered({WEBHOOK: {"signatures": {}}}).problems == ()


def test_every_wrong_option_is_reported_and_no_value_repeated() -> None:
    secret = "hunter2-hunter2"
    found = answered({WEBHOOK: {"enabled": "yes", "secret_kye": secret, "max_body_bytes": 0}})
    assert len(found.problems) == 3
    texts = "".join(f"{problem.message}{problem.hint}" for problem in found.problems)
    assert secret not in texts
    assert "did you mean 'secret_key'?" in texts


def test_answers_that_are_no_map_are_refused() -> None:
    assert codes(answered([1])) == [("error", "bundle.value")]
    assert codes(answered({WEBHOOK: 5})) == [("error", "bundle.value")]
    assert codes(answered({TIMER: {"timezone": "Mars/Base"}})) == [("error", "bundle.value")]


def test_values_in_lists_are_expanded_too_and_plain_dollars_stay() -> None:
    found = answered({"messaging-x": {"a": ["$A", "5 $", 1]}}, environment={})
    assert ("error", "bundle.variable_unset") in codes(found)


def test_secrets_are_not_in_the_repr() -> None:
    found = answered({WEBHOOK: {"secret_header": "X-Sig", "secret_key": "hunter2-hunter2"}})
    assert "hunter2" not in repr(found)


def test_stand_ins_fill_what_is_left_out() -> None:
    name = "events-sms-twilio"
    made = {"account_sid": "AC" + "1" * 32, "auth_token": "made", "from_number": "+15005550006"}
    given = {"from_number": "+14155550100", "auth_token": "$NOT_SET"}
    found = answered({name: given}, environment={}, stand_ins={name: made})
    assert found.problems == ()
    options: Any = found.options[name]
    assert (options.from_number, options.account_sid) == ("+14155550100", made["account_sid"])
    assert options.auth_token.get_secret_value() == "made"
    off = answered({name: {"enabled": False}}, stand_ins={name: made})
    assert name not in off.options
    assert name in answered({}, stand_ins={name: made}).options
