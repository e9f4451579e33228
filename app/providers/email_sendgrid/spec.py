"""The catalogue entry of the SendGrid provider: its routes, options, actions and constructor."""

from typing import Final

from app.providers.email.address import Address
from app.providers.email.arguments import SendArguments, SendTemplateArguments
from app.providers.email_sendgrid.inbound import EVENTS_ROUTE, INBOUND_ROUTE, SendGridInbound
from app.providers.email_sendgrid.metadata import PROVIDER_NAME
from app.providers.email_sendgrid.options import SendGridOptions
from app.providers.email_sendgrid.outbound import SendGridSender
from app.providers.provider import (
    ActionSpec,
    InboundRoute,
    Provider,
    ProviderContext,
    ProviderSpec,
)

API_BASES: Final = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}


def build_sendgrid(options: SendGridOptions, context: ProviderContext) -> Provider:
    """Make the provider; a stand-in for SendGrid's API comes by the context's endpoints."""
    inbound = SendGridInbound(options, context.env, context.clock)
    key, email = options.api_key, options.from_email
    if key is None or email is None:  # a disabled provider needs neither
        return Provider(name=PROVIDER_NAME, inbound=inbound, warnings=inbound.warnings)
    outbound = SendGridSender(
        context.http,
        context.endpoints.get(PROVIDER_NAME, API_BASES[options.data_residency]),
        key.get_secret_value(),
        Address(email, options.from_name),
        sandbox=options.sandbox,
    )
    return Provider(
        name=PROVIDER_NAME,
        inbound=inbound,
        outbound=outbound,
        warnings=inbound.warnings,
        check=outbound.check,
    )


SENDGRID: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="E-mail by SendGrid: sending, what became of mails, mails received",
    options_model=SendGridOptions,
    build=build_sendgrid,
    routes=(
        InboundRoute(EVENTS_ROUTE, "/events/email/sendgrid/{tenant}/events"),
        InboundRoute(INBOUND_ROUTE, "/events/email/sendgrid/{tenant}/inbound"),
    ),
    actions=(
        ActionSpec(
            name="send",
            summary="Send a mail.",
            arguments=SendArguments,
            html_arguments=frozenset({"html"}),
        ),
        ActionSpec(
            name="send_template",
            summary="Send a mail that a dynamic template of SendGrid writes.",
            arguments=SendTemplateArguments,
        ),
    ),
)
