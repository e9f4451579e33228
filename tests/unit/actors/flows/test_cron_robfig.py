"""Cron against robfig's own cases (the shared vectors): calendars agree, and clocks nearly do.

robfig's dialect (Argo, Benthos, Kubernetes) skips what a spring gap swallows and runs twice in an
autumn repeat; ours is Debian's: right after the gap, and once. `DIFFERENCES` has the only two cases
of it that this concerns, with what we do.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from actors.flows.cron import parse_cron

VECTORS: Final = Path(__file__).resolve().parents[5] / "shared" / "vectors" / "cron_robfig.json"
FORMATS: Final = ("%Y-%m-%dT%H:%M:%S%z", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M %Y")

DIFFERENCES: Final[Mapping[tuple[str, str], str]] = {
    # 02:30 does not exist on that day: robfig waits for next year's, Debian runs at 03:00.
    ("TZ=America/New_York 0 30 2 11 Mar ?", "2012-03-11T00:00:00-0500"): "2012-03-11T03:00:00-0400",
    # 01:00 comes twice on that day: robfig runs twice, Debian once.
    ("TZ=America/New_York 0 0 1 * * ?", "2012-11-04T01:00:00-0400"): "2012-11-05T01:00:00-0500",
}


def cases(*names: str) -> list[Any]:
    if not VECTORS.exists():
        return [
            pytest.param(None, marks=pytest.mark.skip(reason="the shared vectors are not here"))
        ]
    document = json.loads(VECTORS.read_text())
    return [case for name in names for case in document[name]]


def instant_ms(text: str) -> int:
    text = re.sub(r"^TZ=\S+ ", "", text)
    for form in FORMATS:
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - some have no offset: UTC
        except ValueError:
            continue
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    raise ValueError(text)


def zone_of(case: Mapping[str, str]) -> str:
    """The zone stands before the expression, before the time, or in the time's offset."""
    for text in (case["spec"], case["time"]):
        if found := re.match(r"(?:CRON_)?TZ=(\S+) ", text):
            return found[1]
    return "Asia/Kolkata" if case["time"].endswith("+0530") else "UTC"


@pytest.mark.parametrize("case", cases("activation"))
def test_a_time_is_one_of_the_expressions_or_is_not(case: Mapping[str, Any]) -> None:
    time_ms = instant_ms(case["time"])
    assert (parse_cron(case["spec"], "UTC").last_until(time_ms) == time_ms) is case["match"]


@pytest.mark.parametrize("case", cases("next_seconds", "next_tz"))
def test_the_next_time_is_robfigs_but_for_debians_rule(case: Mapping[str, str]) -> None:
    expected = DIFFERENCES.get((case["spec"], case["time"]), case["next"])
    expression = re.sub(r"^(?:CRON_)?TZ=\S+ ", "", case["spec"])
    found = parse_cron(expression, zone_of(case)).next_after(instant_ms(case["time"]))
    assert found == instant_ms(expected)


@pytest.mark.parametrize("expression", cases("invalid"))
def test_what_robfig_refuses_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="bad cron expression"):
        parse_cron(expression, "UTC")
