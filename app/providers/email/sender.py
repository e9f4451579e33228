"""Who a provider's mails come from: the options every e-mail provider has alike.

In: an option's value. Out: the value, checked. Refuses what is no address and no name.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict

from app.providers.email.address import NAME_CHARS_MAX, check_line, parse_address

OPTIONS: Final = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    use_attribute_docstrings=True,
    hide_input_in_errors=True,
)
"""For every model of options."""

PROD_ENV: Final = "prod"

MAYBE_SENT: Final = "email.maybe_sent"
"""The reason of a failure where nobody knows whether the mail is on its way."""


def _check_email(value: str) -> str:
    address = parse_address(value)
    if address.name:
        raise ValueError("must be an address alone; its name is from_name")
    return address.email


def _check_name(value: str) -> str:
    return check_line(value, NAME_CHARS_MAX).strip()


FromEmail = Annotated[str, AfterValidator(_check_email)]
FromName = Annotated[str, AfterValidator(_check_name)]


def missing_text(names: list[str]) -> str:
    """Say that options are missing, all of them in one sentence."""
    verb = "is" if len(names) == 1 else "are"
    return f"{' and '.join(names)} {verb} missing"
