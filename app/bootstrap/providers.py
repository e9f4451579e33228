"""The providers in force: built from the options of each tenant's bundle, replaced as a whole.

In: bundles, and what providers may use. Out: providers by tenant and name. Options that cannot be
used change nothing (SettingsError). Tenants whose bundle and options are the same share providers;
those that nobody uses any more give their connections back.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import BaseModel

from app.bundle.reading import Bundle
from app.errors import SettingsError
from app.providers.catalog import find_provider
from app.providers.provider import Provider, ProviderContext
from app.providers.webhook.options import WebhookOptions

FAREWELL_SECONDS: Final = 35.0
"""How long a replaced provider's calls may take to end: a call's own limit, and a little."""

_NO_OPTIONS: Final[Mapping[str, BaseModel]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class ProviderSet:
    """The enabled providers of one set of options."""

    providers: Mapping[str, Provider]
    options: Mapping[str, BaseModel] = field(repr=False)
    base_url: str | None

    def warnings(self) -> Iterable[str]:
        """Give what the operator should hear about them."""
        return [text for provider in self.providers.values() for text in provider.warnings]


class Providers:
    """The providers of every tenant of the process."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, ProviderSet] = {}
        self._built: dict[tuple[str, int], ProviderSet] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def build(self, bundle: Bundle, tenant: str, context: ProviderContext) -> ProviderSet:
        """Build a tenant's providers, or give those of another with the same. SettingsError."""
        options = bundle.options_of(tenant)
        # The sets hold the options, so as long as one is known its id is nobody else's.
        key = (bundle.revision, id(options))
        known = self._built.get(key)
        if known is not None:
            return known
        base_url = _base_url(options)
        context = replace(context, public_base_url=base_url, templates=bundle.templates)
        built: dict[str, Provider] = {}
        for name, chosen in options.items():
            spec = find_provider(name)
            if spec is not None:
                built[name] = spec.build(chosen, context)
        self._built[key] = found = ProviderSet(built, options, base_url)
        return found

    def check(self, bundle: Bundle, context: ProviderContext) -> None:
        """Build a bundle's providers and throw them away. SettingsError, with every problem."""
        problems: list[str] = []
        every = {id(options): options for options in map(bundle.options_of, bundle.tenants)}
        for options in every.values():
            within = replace(
                context, public_base_url=_base_url(options), templates=bundle.templates
            )
            for name, chosen in options.items():
                spec = find_provider(name)
                try:
                    if spec is not None:
                        spec.build(chosen, within)
                except SettingsError as error:
                    problems += error.problems
        if problems:
            raise SettingsError(problems)

    def put(self, tenant: str, providers: ProviderSet) -> bool:
        """Bring a tenant's providers into force; tells whether nobody had them before."""
        is_new = all(known is not providers for known in self._by_tenant.values())
        before = self._by_tenant.get(tenant)
        self._by_tenant[tenant] = providers
        self._let_go(before)
        return is_new

    def remove(self, tenant: str) -> None:
        """Take a tenant's providers out of force."""
        self._let_go(self._by_tenant.pop(tenant, None))

    def find(self, tenant: str, name: str) -> Provider | None:
        """Give an enabled provider of a tenant by its name."""
        found = self._by_tenant.get(tenant)
        return None if found is None else found.providers.get(name)

    def options(self, tenant: str) -> Mapping[str, BaseModel]:
        """Give the checked options of a tenant's enabled providers, by provider."""
        found = self._by_tenant.get(tenant)
        return _NO_OPTIONS if found is None else found.options

    def base_url(self, tenant: str) -> str | None:
        """Give where senders reach this host, as the options of the tenant's webhooks say."""
        found = self._by_tenant.get(tenant)
        return None if found is None else found.base_url

    def any_options(self) -> Mapping[str, BaseModel]:
        """Give some tenant's options: on a developer's machine all have the same."""
        return next((each.options for each in self._by_tenant.values()), _NO_OPTIONS)

    def any_base_url(self) -> str | None:
        """Give where some tenant's senders reach this host."""
        return next((each.base_url for each in self._by_tenant.values()), None)

    async def close(self) -> None:
        """Give all connections back at once."""
        for task in self._leaving:
            task.cancel()
        for providers in {id(each): each for each in self._by_tenant.values()}.values():
            await _close(providers)

    def _let_go(self, providers: ProviderSet | None) -> None:
        if providers is None or any(each is providers for each in self._by_tenant.values()):
            return
        self._built = {key: each for key, each in self._built.items() if each is not providers}

        async def close_later() -> None:
            try:
                await asyncio.sleep(FAREWELL_SECONDS)
            finally:
                await _close(providers)

        task = asyncio.get_running_loop().create_task(close_later())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _close(providers: ProviderSet) -> None:
    for provider in providers.providers.values():
        if provider.outbound is not None:
            await provider.outbound.close()


def _base_url(options: Mapping[str, BaseModel]) -> str | None:
    webhook = options.get("events-webhook")
    if not isinstance(webhook, WebhookOptions) or webhook.public_base_url is None:
        return None
    return webhook.public_base_url.rstrip("/")
