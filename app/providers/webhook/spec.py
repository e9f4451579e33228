"""The catalogue entry of the webhook provider: its routes, options and constructor."""

from typing import Final

from app.providers.provider import InboundRoute, ProviderSpec
from app.providers.webhook.options import WebhookOptions
from app.providers.webhook.provider import PROVIDER_NAME, WebhookProvider

WEBHOOK: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="JSON posted to a URL of its own per tenant and event type",
    routes=(InboundRoute("POST", "/events/webhook/{tenant}/{event_type}"),),
    options_model=WebhookOptions,
    build=WebhookProvider,
)
