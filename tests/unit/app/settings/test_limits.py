"""`[limits]`: a backlog that a tenant's stream can keep."""

import pytest
from pydantic import ValidationError

from actors.quotas.quota import Quotas
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver
from app.bus.backlog import BacklogLimits
from app.bus.rates import PlannedBacklog
from app.control.limits import StreamLimits
from app.settings.limits import BACKLOG_BYTES_MAX, LimitsSection
from app.settings.plans import PlanSection
from app.settings.sections import Settings

MIB = 1024 * 1024


def test_defaults_are_those_of_the_specification() -> None:
    limits = Settings().limits
    assert (limits.backlog_events, limits.backlog_bytes) == (100_000, 256 * MIB)


def test_any_backlog_fits_a_tenants_stream_with_as_much_again_for_what_is_done() -> None:
    assert StreamLimits().events_bytes >= 2 * BACKLOG_BYTES_MAX


@pytest.mark.parametrize("stored_bytes", [16 * MIB - 1, (1 << 40) + 1, 1e9, "1 GiB"])
def test_plans_that_store_next_to_nothing_are_refused(stored_bytes: object) -> None:
    with pytest.raises(ValidationError):
        PlanSection.model_validate({"stored_bytes": stored_bytes})


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ({}, 256 * MIB),
        ({"backlog_bytes": 100 * MIB}, 100 * MIB),
        ({"stored_bytes": 64 * MIB}, 32 * MIB),
        ({"stored_bytes": 4096 * MIB}, 256 * MIB),
        ({"stored_bytes": 64 * MIB, "backlog_bytes": 100 * MIB}, 32 * MIB),
        ({"stored_bytes": 64 * MIB, "backlog_bytes": 10 * MIB}, 10 * MIB),
    ],
    ids=str,
)
def test_at_most_half_of_what_is_stored_may_wait(plan: dict[str, int], wanted: int) -> None:
    quotas = Quotas(VirtualClock(), RecordingObserver())
    quotas.of("acme").adopt(PlanSection.model_validate(plan).as_limits("small"))
    limits = PlannedBacklog(BacklogLimits(100_000, 256 * MIB), quotas).of("acme")
    assert (limits.events, limits.bytes) == (100_000, wanted)


@pytest.mark.parametrize(
    "given",
    [
        {"backlog_events": 9},
        {"backlog_events": 10_000_001},
        {"backlog_bytes": MIB - 1},
        {"backlog_bytes": BACKLOG_BYTES_MAX + 1},
        {"backlog_events": "1000"},
        {"backlog": 1000},
    ],
    ids=str,
)
def test_limits_out_of_bounds_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LimitsSection.model_validate(given)
