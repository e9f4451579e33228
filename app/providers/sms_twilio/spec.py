"""The catalogue entry of the Twilio provider: its routes, actions, options and constructor."""

from typing import Final

from app.errors import SettingsError
from app.providers.provider import (
    ActionSpec,
    InboundRoute,
    Provider,
    ProviderContext,
    ProviderSpec,
)
from app.providers.sms_twilio.arguments import SendArguments
from app.providers.sms_twilio.inbound import INCOMING, PROVIDER_NAME, STATUS, TwilioInbound
from app.providers.sms_twilio.options import TwilioOptions
from app.providers.sms_twilio.outbound import API_BASE, STATUS_ROUTE, TwilioSender


def build_twilio(options: TwilioOptions, context: ProviderContext) -> Provider:
    """Make the provider of checked options; SettingsError where callbacks have no URL."""
    emulator = context.endpoints.get(PROVIDER_NAME)
    callback_base = None
    if options.status_callback:
        # The emulator posts to our routes whatever host the URL has, so its own will do.
        callback_base = context.public_base_url or emulator
        if callback_base is None:
            text = "status_callback needs the public_base_url that senders reach this host by"
            raise SettingsError([f"{PROVIDER_NAME}: {text}"])
    sender = TwilioSender(options, context.http, emulator or API_BASE, callback_base)
    return Provider(
        PROVIDER_NAME,
        inbound=TwilioInbound(options, context.clock),
        outbound=sender,
        check=sender.check,
    )


TWILIO: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="Text messages by Twilio, sent and received",
    options_model=TwilioOptions,
    build=build_twilio,
    routes=(
        InboundRoute(INCOMING, "/events/sms/twilio/{tenant}/incoming"),
        InboundRoute(STATUS, STATUS_ROUTE),
    ),
    actions=(ActionSpec("send", "Send a text message, with media or without", SendArguments),),
)
