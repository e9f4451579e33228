"""The options of the timer provider: a zone that exists, and nothing unknown."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.provider import ProviderContext
from app.providers.timer.options import TimerOptions
from app.providers.timer.spec import TIMER


def test_without_a_word_timers_are_on_and_in_utc() -> None:
    assert TimerOptions.model_validate({}) == TimerOptions(enabled=True, timezone="UTC")


@pytest.mark.parametrize(
    "options",
    [
        {"timezone": "Europe/Atlantis"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
        {"timezone": 3},
        {"enabled": "yes"},
        {"cron": "* * * * *"},
    ],
)
def test_what_is_wrong_is_refused_without_repeating_it(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        TimerOptions.model_validate(options)
    assert "Atlantis" not in str(refused.value)


def test_the_provider_neither_takes_requests_nor_acts() -> None:
    context = ProviderContext(env="dev", http=MemoryHttp(), clock=VirtualClock())
    provider = TIMER.build(TimerOptions(), context)
    assert (provider.name, provider.inbound, provider.outbound) == ("events-timer", None, None)
    assert (TIMER.routes, TIMER.actions) == ((), ())
