"""The arguments of `send` (SPEC 6).

In: a node's config, its templates filled. Out: checked arguments. Refuses unknown keys, numbers
and URLs that have not the form, a message that is too long, and one with neither text nor media.
"""

from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from app.providers.sms_twilio.numbers import Number, Sender, ServiceSid, Url

BODY_CHARS_MAX: Final = 1600
"""Of one message; Twilio refuses longer ones with error 21617."""
MEDIA_MAX: Final = 10


def _text(value: Any) -> Any:
    """Take a number for its text: a template that is one expression alone keeps its type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _check_body(value: str) -> str:
    if len(value) > BODY_CHARS_MAX:
        raise ValueError(f"is longer than {BODY_CHARS_MAX} characters")
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must be valid Unicode")
    return value


def _listed(value: Any) -> Any:
    """Take one URL for a list of one."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value) if isinstance(value, list) else value


class SendArguments(BaseModel):
    """One text message."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    to: Number
    """The recipient's number, like `+14155550123`."""
    body: Annotated[str, BeforeValidator(_text), AfterValidator(_check_body)] | None = None
    """The text, at most 1600 characters."""
    media_url: Annotated[
        tuple[Url, ...], BeforeValidator(_listed), Field(max_length=MEDIA_MAX)
    ] = ()
    """Where Twilio finds what goes along: one URL or up to ten."""
    from_number: Sender | None = None
    """Who it comes from, instead of the options' sender."""
    messaging_service_sid: ServiceSid | None = None
    """The Messaging Service that chooses the sender, instead of the options'."""
    status_callback: Url | None = None
    """Where Twilio reports this message's way, instead of our own route."""

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if not self.body and not self.media_url:
            raise ValueError("a message needs 'body' or 'media_url'")
        return self
