"""The options of ``events-timer`` (SPEC 6).

In: the provider's section of ``answers.json``. Out: checked options. Refuses unknown options and
what is no time zone.
"""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError("is no IANA time zone, like 'Europe/Berlin'") from None
    return name


Timezone = Annotated[str, AfterValidator(_check_timezone)]


class TimerOptions(BaseModel):
    """What a bundle says about its timers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    enabled: bool = True
    """Whether timers fire at all."""

    timezone: Timezone = "UTC"
    """For timers of tenants that have no `timezone` of their own: an IANA name."""
