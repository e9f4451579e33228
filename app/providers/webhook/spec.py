"""The catalogue entry of the webhook provider: its routes, options and constructor."""

from typing import Final

from app.providers.provider import InboundRoute, Provider, ProviderContext, ProviderSpec
from app.providers.webhook.events import PROVIDER_NAME
from app.providers.webhook.options import WebhookOptions
from app.providers.webhook.provider import BATCH_ROUTE, EVENT_ROUTE, WebhookProvider


def build_webhook(options: WebhookOptions, context: ProviderContext) -> Provider:
    """Make the provider; its warning is about events that nobody signs."""
    inbound = WebhookProvider(
        options, env=context.env, clock=context.clock, api_keys=context.api_keys
    )
    return Provider(
        PROVIDER_NAME,
        inbound=inbound,
        handshake=inbound.handshake,
        warnings=inbound.warnings,
    )


WEBHOOK: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="Events posted to a URL of their own per tenant and event type, or in batches",
    routes=(
        InboundRoute(EVENT_ROUTE, "/events/webhook/{tenant}/{event_type}"),
        InboundRoute(BATCH_ROUTE, "/events/batch/{tenant}"),
    ),
    options_model=WebhookOptions,
    build=build_webhook,
)
