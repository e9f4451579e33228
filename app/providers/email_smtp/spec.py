"""The catalogue entry of the SMTP provider: its options, actions and constructor."""

from typing import Final

from app.providers.email.address import Address
from app.providers.email.arguments import SendArguments, SendTemplateArguments, Subject
from app.providers.email.sender import PROD_ENV
from app.providers.email_smtp.options import SmtpOptions
from app.providers.email_smtp.outbound import SmtpSender
from app.providers.email_smtp.server import clear_login_problem, server_of
from app.providers.email_smtp.templates import LocalTemplates
from app.providers.provider import ActionSpec, Provider, ProviderContext, ProviderSpec

PROVIDER_NAME: Final = "events-email-smtp"

_UNENCRYPTED: Final = "mails travel unencrypted to the mail server: tls is none"


class SendLocalTemplateArguments(SendTemplateArguments):
    """A mail whose content a template of the bundle writes."""

    subject: Subject
    """The subject line."""


def build_smtp(options: SmtpOptions, context: ProviderContext) -> Provider:
    """Make the provider; connections are opened with the first mail."""
    if options.host is None or options.from_email is None:  # a disabled provider needs neither
        return Provider(name=PROVIDER_NAME)
    endpoint = context.endpoints.get(PROVIDER_NAME)
    outbound = SmtpSender(
        server_of(options, endpoint, context.env),
        Address(options.from_email, options.from_name),
        LocalTemplates(context.templates),
        context.clock,
        connections=options.connections,
    )
    return Provider(
        name=PROVIDER_NAME,
        outbound=outbound,
        warnings=() if endpoint is not None else _warnings(options, context.env),
        check=outbound.check,
    )


def _warnings(options: SmtpOptions, env: str) -> tuple[str, ...]:
    clear_login = clear_login_problem(options)
    if clear_login is not None:
        return (f"{clear_login}; in env prod that is refused",)
    return (_UNENCRYPTED,) if options.tls == "none" and env == PROD_ENV else ()


SMTP: Final = ProviderSpec(
    name=PROVIDER_NAME,
    summary="E-mail by a mail server",
    options_model=SmtpOptions,
    build=build_smtp,
    actions=(
        ActionSpec(
            name="send",
            summary="Send a mail.",
            arguments=SendArguments,
            html_arguments=frozenset({"html"}),
        ),
        ActionSpec(
            name="send_template",
            summary="Send a mail that a template of the bundle writes.",
            arguments=SendLocalTemplateArguments,
        ),
    ),
)
