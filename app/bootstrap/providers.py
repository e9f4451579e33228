"""The providers in force: built from a bundle's options, replaced as a whole.

In: a bundle, and what providers may use. Out: providers by name. A bundle whose options cannot be
used changes nothing (SettingsError). The providers that were replaced give their connections back.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import BaseModel

from app.bundle.reading import Bundle
from app.providers.catalog import find_provider
from app.providers.provider import Provider, ProviderContext
from app.providers.webhook.options import WebhookOptions

FAREWELL_SECONDS: Final = 35.0
"""How long a replaced provider's calls may take to end: a call's own limit, and a little."""


@dataclass(slots=True)
class Providers:
    """The enabled providers of the bundle in force."""

    _current: Mapping[str, Provider] = field(default_factory=dict)
    _options: Mapping[str, BaseModel] = field(default_factory=dict, repr=False)
    _base_url: str | None = None
    _leaving: set["asyncio.Task[None]"] = field(default_factory=set)

    def replace(self, bundle: Bundle, context: ProviderContext) -> None:
        """Build the providers anew from a bundle's options. SettingsError changes nothing."""
        base_url = _base_url(bundle)
        context = replace(context, public_base_url=base_url, templates=bundle.templates)
        built: dict[str, Provider] = {}
        for name, options in bundle.options.items():
            spec = find_provider(name)
            if spec is not None:
                built[name] = spec.build(options, context)
        before, self._current = self._current, built
        self._base_url, self._options = base_url, bundle.options
        for provider in before.values():
            self._dismiss(provider)

    def find(self, name: str) -> Provider | None:
        """Give an enabled provider by its name."""
        return self._current.get(name)

    def options(self) -> Mapping[str, BaseModel]:
        """Give the checked options of the enabled providers, by provider."""
        return self._options

    def base_url(self) -> str | None:
        """Give where senders reach this host, as the webhooks' options say."""
        return self._base_url

    def warnings(self) -> Iterable[str]:
        """Give what the operator should hear about the providers."""
        return [text for provider in self._current.values() for text in provider.warnings]

    async def close(self) -> None:
        """Give all connections back at once."""
        for task in self._leaving:
            task.cancel()
        for provider in self._current.values():
            if provider.outbound is not None:
                await provider.outbound.close()

    def _dismiss(self, provider: Provider) -> None:
        outbound = provider.outbound
        if outbound is None:
            return

        async def close_later() -> None:
            try:
                await asyncio.sleep(FAREWELL_SECONDS)
            finally:
                await outbound.close()

        task = asyncio.get_running_loop().create_task(close_later())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _base_url(bundle: Bundle) -> str | None:
    webhook = bundle.options.get("events-webhook")
    if not isinstance(webhook, WebhookOptions) or webhook.public_base_url is None:
        return None
    return webhook.public_base_url.rstrip("/")
