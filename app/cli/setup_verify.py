"""Asking the providers' own services whether the options work, before anything is stored.

In: checked options, settings. Out: nothing, if all is well. Refuses (SettingsError) with all that
the services object to.
"""

from collections.abc import Sequence

from actors.errors import NodeError
from app.bootstrap.egress import build_policy
from app.bundle.setup_options import ProviderSetup
from app.errors import SettingsError
from app.outbound.caller import GuardedCaller
from app.providers.provider import ProviderContext
from app.settings.sections import Settings
from app.system import SystemClock

_WAY_OUT = "setup --no-verify takes the options without asking"


async def verify(
    setups: Sequence[ProviderSetup], settings: Settings, public_base_url: str | None
) -> None:
    """Build each provider and have it ask its service."""
    clock = SystemClock()
    problems: list[str] = []
    async with GuardedCaller(build_policy(settings.security), clock=clock) as http:
        context = ProviderContext(
            env=settings.env, http=http, clock=clock, public_base_url=public_base_url
        )
        for setup in setups:
            problems += await _problems_of(setup, context)
    if problems:
        raise SettingsError([*problems, _WAY_OUT])


async def _problems_of(setup: ProviderSetup, context: ProviderContext) -> list[str]:
    if setup.options is None:
        return []
    name = setup.spec.name
    try:
        provider = setup.spec.build(setup.options, context)
    except SettingsError as error:
        return list(error.problems)
    try:
        return [f"{name}: {sentence}" for sentence in await provider.check()]
    except NodeError as error:
        return [f"{name}: {error}"]
    finally:
        if provider.outbound is not None:
            await provider.outbound.close()
