"""The catalogue entry of the timer provider.

It has no route and no action: every worker's scheduler publishes the ticks
(`actors.tenants.scheduler`), and what a timer needs stands in the flow.
"""

from typing import Final

from app.providers.provider import Provider, ProviderContext, ProviderSpec
from app.providers.timer.options import TimerOptions

PROVIDER_NAME: Final = "events-timer"


def _build(options: TimerOptions, context: ProviderContext) -> Provider:  # noqa: ARG001
    return Provider(PROVIDER_NAME)


TIMER: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="ticks of flows' cron triggers, one event each",
    options_model=TimerOptions,
    build=_build,
)
