"""One provider's setup: answers over options, checked, and the secrets parted from the rest."""

import json
from typing import Any

import pytest

from app.bundle.answers import Lookups
from app.bundle.references import reference_to
from app.bundle.setup_options import ProviderSetup, masked, prepare
from app.bundle.setup_questions import (
    Question,
    answer_template,
    problem_with,
    questions_of,
    read_answer,
    secret_options,
)
from app.providers.catalog import find_provider, provider_specs
from app.providers.provider import ProviderSpec
from tests.unit.app.bundle.test_references import Stored

CANARY = "canary-7f3a"
SID = "AC" + "a" * 32


def spec_of(name: str) -> ProviderSpec:
    spec = find_provider(name)
    assert spec is not None
    return spec


WEBHOOK, TWILIO = spec_of("events-webhook"), spec_of("events-sms-twilio")


def webhook(before: Any, given: Any, lookups: Lookups | None = None) -> ProviderSetup:
    return prepare(WEBHOOK, before, given, lookups or Lookups({"HOOK": CANARY}, {}))


def test_secret_goes_into_the_store_and_a_reference_into_the_file() -> None:
    setup = webhook({}, {"secret_header": "x-sig", "secret_key": CANARY})
    assert setup.problems == ()
    assert setup.secrets == {"events-webhook.secret_key": CANARY}
    assert setup.written == {
        "secret_header": "x-sig",
        "secret_key": reference_to("events-webhook.secret_key"),
    }
    assert CANARY not in repr(setup)


def test_variable_of_an_answer_is_expanded_and_put_away() -> None:
    setup = webhook({}, {"secret_header": "x-sig", "secret_key": "$HOOK"})
    assert setup.secrets == {"events-webhook.secret_key": CANARY}


def test_variable_of_the_file_stays_as_it_is() -> None:
    before = {"secret_header": "x-sig", "secret_key": "$HOOK"}
    setup = webhook(before, {"public_base_url": "https://example.com"})
    assert setup.problems == ()
    assert setup.secrets == {}
    assert setup.written["secret_key"] == "$HOOK"


def test_secret_that_stands_in_the_file_moves_into_the_store() -> None:
    setup = webhook({"secret_header": "x-sig", "secret_key": CANARY}, None)
    assert setup.secrets == {"events-webhook.secret_key": CANARY}
    assert CANARY not in json.dumps(setup.written)


def test_nested_secrets_are_found_however_deep() -> None:
    signatures = {
        "github": {"algorithm": "github", "secret": f"{CANARY}-1"},
        "stripe": {"algorithm": "stripe", "secrets": [f"{CANARY}-2", f"{CANARY}-3"]},
    }
    setup = webhook({}, {"signatures": signatures})
    assert setup.problems == ()
    assert setup.secrets == {
        "events-webhook.signatures.github.secret": f"{CANARY}-1",
        "events-webhook.signatures.stripe.secrets.0": f"{CANARY}-2",
        "events-webhook.signatures.stripe.secrets.1": f"{CANARY}-3",
    }
    assert CANARY not in json.dumps(setup.written)


def test_value_that_begins_with_a_dollar_is_kept_apart_from_variables() -> None:
    lookups = Lookups({"HOOK": "$TRICKY"}, {})
    setup = webhook({}, {"secret_header": "x", "secret_key": "$HOOK"}, lookups)
    assert setup.secrets == {"events-webhook.secret_key": "$TRICKY"}


def test_stored_secret_is_checked_with_its_value_and_not_stored_again() -> None:
    before = {"secret_header": "x", "secret_key": reference_to("k")}
    setup = webhook(before, None, Lookups({}, {"k": Stored(CANARY)}))
    assert setup.problems == ()
    assert setup.options is not None
    assert setup.secrets == {}
    assert setup.written == before


def test_lost_secret_is_a_problem_and_an_unknown_store_is_none() -> None:
    before = {"secret_header": "x", "secret_key": reference_to("k")}
    [problem] = webhook(before, None, Lookups({}, {})).problems
    assert "events-webhook.secret_key: there is no stored secret 'k'" in problem
    unknown = webhook(before, None, Lookups({}, None))
    assert (unknown.problems, unknown.options) == ((), None)


def test_every_problem_is_told_at_once_and_no_value() -> None:
    given = {
        "secret_header": CANARY + " ä",
        "max_body_bytes": 0,
        "secert_key": CANARY,
        "signatures": {"github": {"algorithm": CANARY, "secret": CANARY}},
    }
    setup = webhook({}, given)
    places = {text.partition(": ")[0] for text in setup.problems}
    assert {"events-webhook.secret_header", "events-webhook.max_body_bytes"} <= places
    assert any("did you mean 'secret_key'" in text for text in setup.problems)
    assert CANARY not in "".join(setup.problems)
    assert "max_body_bytes" in setup.wrong_options


def test_missing_options_are_named() -> None:
    [problem] = prepare(TWILIO, {}, {"account_sid": None}, Lookups({}, {})).problems
    assert "account_sid and auth_token are missing" in problem


def test_unset_variable_does_not_hide_what_else_is_missing() -> None:
    setup = prepare(TWILIO, {}, {"auth_token": "$UNSET"}, Lookups({}, {}))
    assert any("UNSET is not set" in text for text in setup.problems)
    assert any("account_sid" in text for text in setup.problems)


def test_provider_that_is_off_needs_nothing() -> None:
    setup = prepare(TWILIO, {}, {"enabled": False}, Lookups({}, {}))
    assert (setup.problems, setup.written) == ((), {"enabled": False})


@pytest.mark.parametrize("given", [[], "x", 7])
def test_options_that_are_no_map_are_refused(given: Any) -> None:
    assert webhook({}, given).problems == ("events-webhook: must be a map of options",)


def test_secrets_are_masked_in_what_people_see() -> None:
    shown = masked(
        {"a": CANARY, "b": [CANARY, "x"], "c": reference_to("n"), "d": "old", "e": "$VAR"},
        [CANARY],
        frozenset({"d", "e"}),
    )
    assert shown["d"] == "••••"
    assert shown["e"] == "$VAR"
    assert CANARY not in json.dumps(shown)


# ── Questions ────────────────────────────────────────────────────────────────────────────────


def question(spec: ProviderSpec, option: str) -> Question:
    return next(q for q in questions_of(spec.options_model, advanced=True) if q.option == option)


def test_usual_questions_are_few_and_advanced_ones_are_all() -> None:
    usual = [q.option for q in questions_of(WEBHOOK.options_model, advanced=False)]
    everything = {q.option for q in questions_of(WEBHOOK.options_model, advanced=True)}
    assert usual == ["public_base_url", "secret_header", "secret_key"]
    assert everything == set(WEBHOOK.options_model.model_fields) - {"enabled"}


@pytest.mark.parametrize("spec", provider_specs(), ids=lambda spec: spec.name)
def test_every_option_has_help(spec: ProviderSpec) -> None:
    assert all(q.help for q in questions_of(spec.options_model, advanced=True))


def test_secrets_are_known_as_such() -> None:
    assert secret_options(WEBHOOK.options_model) == {"secret_key"}
    assert secret_options(TWILIO.options_model) == {"auth_token"}


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("allow_unsigned", "Yes", True),
        ("allow_unsigned", "off", False),
        ("max_body_bytes", " 1024 ", 1024),
        ("public_base_url", "https://x", "https://x"),
        ("secret_key", "0123", "0123"),
        ("signatures", '{"a": {}}', {"a": {}}),
    ],
)
def test_answer_has_the_options_type(option: str, text: str, value: Any) -> None:
    assert read_answer(question(WEBHOOK, option), text) == value


@pytest.mark.parametrize(
    ("option", "text"),
    [("allow_unsigned", "maybe"), ("max_body_bytes", "many"), ("signatures", "{")],
)
def test_answer_of_another_type_is_refused(option: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_answer(question(WEBHOOK, option), text)


def test_one_options_problem_is_known_without_the_others() -> None:
    assert problem_with(WEBHOOK.options_model, "max_body_bytes", 0) is not None
    assert problem_with(WEBHOOK.options_model, "max_body_bytes", 10) is None
    problem = problem_with(TWILIO.options_model, "account_sid", CANARY)
    assert problem is not None
    assert CANARY not in problem


def test_template_names_variables_for_secrets_and_keeps_what_is_there() -> None:
    current = {"account_sid": SID, "auth_token": CANARY, "status_callback": True}
    template = answer_template(TWILIO.name, TWILIO.options_model, current, advanced=False)
    assert template["auth_token"] == "$EVENTS_SMS_TWILIO_AUTH_TOKEN"
    assert (template["account_sid"], template["from_number"]) == (SID, None)
    assert (template["enabled"], template["status_callback"]) == (True, True)
    assert CANARY not in json.dumps(template)
