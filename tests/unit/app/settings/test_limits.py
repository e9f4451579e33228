"""`[limits]`: a backlog that a tenant's stream can keep."""

import pytest
from pydantic import ValidationError

from app.control.limits import StreamLimits
from app.settings.limits import BACKLOG_BYTES_MAX, LimitsSection
from app.settings.sections import Settings

MIB = 1024 * 1024


def test_defaults_are_those_of_the_specification() -> None:
    limits = Settings().limits
    assert (limits.backlog_events, limits.backlog_bytes) == (100_000, 256 * MIB)


def test_any_backlog_fits_a_tenants_stream_with_as_much_again_for_what_is_done() -> None:
    assert StreamLimits().events_bytes >= 2 * BACKLOG_BYTES_MAX


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
