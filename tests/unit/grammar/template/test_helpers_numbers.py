"""Helpers on numbers: `formatNumber`, `currency`, `percent`."""

from typing import Any

import pytest

from grammar import EvaluationError, ValueMismatchError, compile_template


def render(template: str, **scope: Any) -> str:
    return compile_template(template).render(scope)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1234567, "1,234,567"),
        (1234567.5, "1,234,567.5"),
        (1234.56789, "1,234.568"),
        (-0.0004, "0"),
        (1000, "1,000"),
        (100.0, "100"),
        ("1234.5", "1,234.5"),
        (" -2e3 ", "-2,000"),
        ("1e99", "1," + ",".join(["000"] * 33)),
        (2**70, "1,180,591,620,717,411,303,424"),
        (1e300, None),
        (None, ""),
        ("", ""),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
    ],
)
def test_format_number_groups_thousands(value: Any, expected: str | None) -> None:
    shown = render("{{formatNumber v}}", v=value)
    assert shown == (f"{10**300:,}" if expected is None else expected)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{formatNumber 2.5 0}} {{formatNumber 3.5 0}} {{formatNumber -2.5 0}}", "3 4 -3"),
        (
            "{{formatNumber 1.005 2}} {{formatNumber 7 2}} {{formatNumber 7 decimals=1}}",
            "1.01 7.00 7.0",
        ),
        ("{{formatNumber 0.5 20}}", "0.50000000000000000000"),
        (
            "{{currency 12.5}} {{currency -3}} {{currency 1234.567 'EUR'}}",
            "$12.50 -$3.00 €1,234.57",
        ),
        (
            "{{currency 12.5 'JPY'}} {{currency 12 'KWD'}} {{currency 1 'CHF'}}",
            "¥13 KWD 12.000 CHF 1.00",
        ),
        ("{{currency 5 '₿'}} {{currency 5 code='gbp'}} {{currency -0.001}}", "₿5.00 £5.00 $0.00"),
        ("{{currency null}}{{currency missing 'EUR'}}", ""),
        ("{{percent 0.256}} {{percent 0.2565 1}} {{percent 12 decimals=0}}", "26% 25.7% 1,200%"),
        ("{{percent null}}{{percent '0.5'}}{{percent -0.001}}", "50%0%"),
    ],
)
def test_numbers_are_shown_for_people(template: str, expected: str) -> None:
    assert render(template) == expected


def test_currency_of_no_finite_number_has_no_mark() -> None:
    assert render("{{currency v}}{{percent v}}", v=float("inf")) == "InfinityInfinity"


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        ("{{formatNumber v}}", "abc", "formatNumber: takes a number"),
        ("{{formatNumber v}}", "1e400", "formatNumber: takes a number"),
        ("{{formatNumber v}}", "1" * 401, "formatNumber: takes a number"),
        ("{{formatNumber v}}", 10**400, "formatNumber: takes a number"),
        ("{{formatNumber v}}", True, "formatNumber: takes a number"),
        ("{{formatNumber v}}", [1], "formatNumber: takes a number"),
        ("{{formatNumber v}}", "٣", "formatNumber: takes a number"),
        ("{{currency v}}", {}, "currency: takes a number"),
        ("{{percent v}}", False, "percent: takes a number"),
        ("{{formatNumber 1 v}}", 21, "decimals must be an integer"),
        ("{{formatNumber 1 v}}", -1, "decimals must be an integer"),
        ("{{formatNumber 1 v}}", True, "decimals must be an integer"),
        ("{{percent 1 v}}", "2", "decimals must be an integer"),
        ("{{currency 1 v}}", 5, "the code must be text"),
        ("{{currency 1 v}}", None, "the code must be text"),
    ],
)
def test_what_is_no_number_is_refused(template: str, value: Any, message: str) -> None:
    with pytest.raises(ValueMismatchError, match=message) as caught:
        render(template, v=value)
    assert caught.value.kind == "type_mismatch"


@pytest.mark.parametrize(
    "template", ["{{v}}", "{{formatNumber v}}", "{{uppercase v}}", "{{v}}{{w}}"]
)
def test_integers_past_pythons_limit_of_digits_are_named(template: str) -> None:
    with pytest.raises(EvaluationError, match="too many digits") as caught:
        render(template, v=10**5_000)
    assert caught.value.kind == "arithmetic"
