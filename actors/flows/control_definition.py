"""Flow control as a flow file writes it (SPEC 8): the models below `config`.

In: values of a flow document. Out: validated rules, times in milliseconds. Refuses unknown keys,
limits and times out of bounds, and a `max_wait` that its `period` could never reach.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from actors.nodes.durations import read_duration_ms
from actors.nodes.schema import STRICT

LIMIT_MAX: Final = 1000
"""Runs at once, runs in a period."""

BATCH_SIZE_MAX: Final = 1000
PERIOD_MS_MIN: Final = 1
PERIOD_MS_MAX: Final = 86_400_000
"""Of `throttle` and `rate_limit`, and the longest `max_wait` of `debounce`: a day."""

QUIET_MS_MAX: Final = 3_600_000
"""Of a `debounce` and the `max_wait` of a `batch`: what waits for so long is held by a worker."""

KEY_CHARS_MAX: Final = 1000

KeyText = Annotated[str, Field(min_length=1, max_length=KEY_CHARS_MAX)]
"""An expression in the language of scripts; what it gives for an event is the event's key."""


def read_written_duration(value: Any) -> int:
    """Read a duration of a flow file; a text needs its unit there, since numbers need no quotes."""
    if isinstance(value, str) and value.isdecimal():
        raise ValueError(f"'{value}' has no unit: milliseconds are a number, without quotes")
    return read_duration_ms(value)


LimitCount = Annotated[int, Field(ge=1, le=LIMIT_MAX)]
PeriodMs = Annotated[
    int, BeforeValidator(read_written_duration), Field(ge=PERIOD_MS_MIN, le=PERIOD_MS_MAX)
]
QuietMs = Annotated[
    int, BeforeValidator(read_written_duration), Field(ge=PERIOD_MS_MIN, le=QUIET_MS_MAX)
]


class ConcurrencyConfig(BaseModel):
    """How many runs may be worked on at once; the others wait in order."""

    model_config = STRICT

    limit: LimitCount
    """Runs at once, for each key."""
    key: KeyText | None = None
    """Without one all runs count together."""
    scope: Literal["flow", "tenant"] = "flow"
    """`tenant`: counts with the runs of all the tenant's flows that say so too."""


class ThrottleConfig(BaseModel):
    """How many runs may begin in a period, evenly spread; those that come too early wait."""

    model_config = STRICT

    limit: LimitCount
    """Runs in each `period`, for each key: one may begin every `period` / `limit`."""
    period: PeriodMs
    """Milliseconds, or text like `30s`; at most a day."""
    key: KeyText | None = None
    """Without one all runs count together."""


class RateLimitConfig(BaseModel):
    """How many runs may begin in a period, evenly spread; those that come too early are refused."""

    model_config = STRICT

    limit: LimitCount
    """Runs in each `period`, for each key: one may begin every `period` / `limit`."""
    period: PeriodMs
    """Milliseconds, or text like `30s`; at most a day."""
    key: KeyText | None = None
    """Without one all runs count together."""


class DebounceConfig(BaseModel):
    """Only the last of several events runs the flow, once they have become quiet."""

    model_config = STRICT

    period: QuietMs
    """How long no other event of the key must come; at most an hour."""
    key: KeyText | None = None
    """Without one all events are of one key."""
    max_wait: PeriodMs | None = None
    """How long the first of them waits at most; at most a day. Without it: until all is quiet."""

    @model_validator(mode="after")
    def _check_max_wait(self) -> "DebounceConfig":
        if self.max_wait is not None and self.max_wait < self.period:
            raise ValueError("'max_wait' is shorter than 'period', which could never be over")
        return self


class BatchConfig(BaseModel):
    """Several events are one run, which sees them as `events`."""

    model_config = STRICT

    max_size: Annotated[int, Field(ge=1, le=BATCH_SIZE_MAX)]
    """Events of a batch; 512 KiB of them are a batch too."""
    max_wait: QuietMs
    """How long its first event waits for others; at most an hour."""
    key: KeyText | None = None
    """Without one all events are of one key."""


class SingletonConfig(BaseModel):
    """One run of a key at a time, waits and retries included."""

    model_config = STRICT

    key: KeyText | None = None
    """Without one all runs are of one key."""
    mode: Literal["skip", "cancel"] = "skip"
    """Whether a later run is refused, or takes the place of the earlier one."""
