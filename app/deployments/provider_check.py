"""Building a bundle's providers once, to see whether their options can be used at all.

In: a bundle. Out: nothing. Refuses (SettingsError, with every problem) options that a provider
cannot be built of. Nothing is sent: who builds may not call out.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import BaseModel

from actors.errors import PermanentError
from actors.ports import Clock, HttpRequest, HttpResponse
from app.bundle.reading import Bundle
from app.errors import SettingsError
from app.providers.catalog import find_provider
from app.providers.provider import ProviderContext


class _NoCalls:
    """A caller of a process that only looks."""

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:  # noqa: ARG002
        raise PermanentError("nothing is called while options are checked", reason="http.refused")


def provider_check(env: str, clock: Clock) -> Callable[[Bundle], None]:
    """Give the check for an env."""
    context = ProviderContext(env=env, http=_NoCalls(), clock=clock)

    def check(bundle: Bundle) -> None:
        url = None if bundle.webhook is None else bundle.webhook.public_base_url
        within = replace(
            context,
            public_base_url=None if url is None else url.rstrip("/"),
            templates=bundle.templates,
        )
        problems: list[str] = []
        for options in (bundle.options, *bundle.tenant_options.values()):
            for name, checked in options.items():
                problems += _problems_of(name, checked, within)
        if problems:
            raise SettingsError(list(dict.fromkeys(problems)))

    return check


def _problems_of(name: str, options: BaseModel, context: ProviderContext) -> Sequence[str]:
    spec = find_provider(name)
    try:
        if spec is not None:
            spec.build(options, context)
    except SettingsError as error:
        return error.problems
    return ()
