"""The arguments of `send` and `send_template`, the same for every e-mail provider (SPEC 6).

In: a node's config, its templates filled. Out: checked arguments. Refuses unknown keys, anything
that could add a header or a recipient, more than a mail may have, and a mail without content.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from actors.nodes.schema import STRICT
from app.providers.email.address import Address, check_line, parse_address
from app.providers.email.attachment import Attachment, check_attachments

RECIPIENTS_MAX: Final = 1000
"""Of one mail, copies included (SendGrid's limit; PROTOCOLS, SendGrid)."""
SUBJECT_CHARS_MAX: Final = 988
"""A line of RFC 5322 has 998 characters, ``Subject: `` among them."""
BODY_CHARS_MAX: Final = 2 * 1024 * 1024
CATEGORIES_MAX: Final = 10
CATEGORY_CHARS_MAX: Final = 255
HEADERS_MAX: Final = 50
HEADER_CHARS_MAX: Final = 900
CUSTOM_BYTES_MAX: Final = 10_000

RESERVED_HEADERS: Final = frozenset(
    {
        "bcc",
        "cc",
        "content-transfer-encoding",
        "content-type",
        "date",
        "dkim-signature",
        "from",
        "keywords",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-sg-eid",
        "x-sg-id",
    }
)
"""Headers that the mail's other parts, or the services, write themselves."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}")
_TEMPLATE_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_TEMPLATE_ID_CHARS_MAX: Final = 200


def _parse_addresses(value: Any) -> tuple[Address, ...]:
    """Read one address or a list of them; the place of a wrong one is told."""
    if not isinstance(value, (list, tuple)):
        return (parse_address(value),)
    if len(value) > RECIPIENTS_MAX:
        raise ValueError(f"has more than {RECIPIENTS_MAX} addresses")
    return tuple(_numbered(number, item) for number, item in enumerate(value))


def _numbered(number: int, item: Any) -> Address:
    try:
        return parse_address(item)
    except ValueError as error:
        raise ValueError(f"address {number + 1} {error}") from None


def _check_subject(value: str) -> str:
    return check_line(value, SUBJECT_CHARS_MAX)


def _check_body(value: str) -> str:
    if len(value) > BODY_CHARS_MAX:
        raise ValueError(f"is longer than {BODY_CHARS_MAX} characters")
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must be valid Unicode")
    return value


def _check_categories(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    unique = tuple(dict.fromkeys(check_line(item, CATEGORY_CHARS_MAX) for item in value))
    if len(unique) > CATEGORIES_MAX:
        raise ValueError(f"has more than {CATEGORIES_MAX} categories")
    if not all(item.strip() for item in unique):
        raise ValueError("has an empty category")
    return unique


def _check_headers(value: dict[str, str]) -> dict[str, str]:
    if len(value) > HEADERS_MAX:
        raise ValueError(f"has more than {HEADERS_MAX} headers")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("has a name that is no header's name")
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(f"must not set {name}: another argument or the service does")
        check_line(text, HEADER_CHARS_MAX)
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("has a header twice")
    return value


def _check_custom(value: dict[str, str]) -> dict[str, str]:
    total = sum(len(part.encode(errors="replace")) for item in value.items() for part in item)
    if total > CUSTOM_BYTES_MAX:
        raise ValueError(f"is longer than {CUSTOM_BYTES_MAX} bytes in all")
    return value


def _check_template_id(value: str) -> str:
    if len(value) > _TEMPLATE_ID_CHARS_MAX or not _TEMPLATE_ID.fullmatch(value):
        raise ValueError("must be a template's id: letters, digits, '_', '-', '.' and '/'")
    return value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Addresses = Annotated[tuple[Address, ...], BeforeValidator(_parse_addresses)]
OneAddress = Annotated[Address, BeforeValidator(parse_address)]
Subject = Annotated[str, AfterValidator(_check_subject)]
Body = Annotated[str, AfterValidator(_check_body)]


class MailArguments(BaseModel):
    """What every mail has, whoever writes its content."""

    model_config = STRICT

    to: Addresses = Field(min_length=1)
    """The recipients, one or a list: `a@b.org`, `Name <a@b.org>` or `{email, name}`."""
    cc: Addresses = ()
    """Who gets a copy."""
    bcc: Addresses = ()
    """Who gets a copy that the others do not hear of."""
    reply_to: OneAddress | None = None
    """Where answers go."""
    attachments: Annotated[
        tuple[Attachment, ...], BeforeValidator(_listed), AfterValidator(check_attachments)
    ] = ()
    """Files that travel along."""
    categories: Annotated[tuple[str, ...], BeforeValidator(_check_categories)] = ()
    """Up to ten words for statistics; SMTP writes them as `Keywords`."""
    headers: Annotated[dict[str, str], AfterValidator(_check_headers)] = Field(default_factory=dict)
    """Further headers."""
    custom: Annotated[dict[str, str], AfterValidator(_check_custom)] = Field(default_factory=dict)
    """Texts that SendGrid gives back in every event of this mail; SMTP leaves them out."""

    @model_validator(mode="after")
    def _check_recipients(self) -> Self:
        if sum(map(len, unique_recipients(self))) > RECIPIENTS_MAX:
            raise ValueError(f"a mail has at most {RECIPIENTS_MAX} recipients, copies included")
        return self


class SendArguments(MailArguments):
    """A mail with its content written out."""

    subject: Subject
    """The subject line."""
    content: Body | None = None
    """The text."""
    html: Body | None = None
    """The same as HTML; values that templates fill in are escaped."""

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if not self.content and not self.html:
            raise ValueError("a mail needs 'content' or 'html'")
        return self


class SendTemplateArguments(MailArguments):
    """A mail whose content a template of the service writes."""

    template_id: Annotated[str, AfterValidator(_check_template_id)]
    """The template's id."""
    dynamic_data: dict[str, Any] = Field(default_factory=dict)
    """What the template shows."""
    subject: Subject | None = None
    """The subject line, where the template has none of its own."""


def unique_recipients(
    mail: MailArguments,
) -> tuple[tuple[Address, ...], tuple[Address, ...], tuple[Address, ...]]:
    """Give to, cc and bcc with every address once, in the first place that has it.

    Services refuse a mail that names one twice (PROTOCOLS, SendGrid), and lists filled in from
    payloads do.
    """
    seen: set[str] = set()
    return _unseen(mail.to, seen), _unseen(mail.cc, seen), _unseen(mail.bcc, seen)


def _unseen(addresses: Iterable[Address], seen: set[str]) -> tuple[Address, ...]:
    found = []
    for address in addresses:
        key = address.email.lower()
        if key not in seen:
            seen.add(key)
            found.append(address)
    return tuple(found)
