"""Attachments as flows write them.

In: ``{filename, content, type, disposition, content_id}`` with the content in base64. Out: checked
attachments. Refuses paths for names, types that are none, and content that is no base64.
"""

import base64
import binascii
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel

from actors.nodes.schema import STRICT
from app.providers.email.address import check_line

ATTACHMENTS_MAX: Final = 50
ATTACHMENT_BYTES_MAX: Final = 20 * 1024 * 1024
"""All attachments of a mail, decoded: in base64 they stay below the 30 MB a mail may have."""
FILENAME_CHARS_MAX: Final = 255
TYPE_DEFAULT: Final = "application/octet-stream"

_TYPE: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@ -]{1,128}")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")


def _check_filename(value: str) -> str:
    check_line(value, FILENAME_CHARS_MAX)
    if not value.strip() or "/" in value or "\\" in value:
        raise ValueError("must be a file's name, no path")
    return value


def _check_content(value: str) -> str:
    """Give the base64 in one line, as services want it."""
    if len(value) > 2 * ATTACHMENT_BYTES_MAX:
        raise ValueError(f"is larger than {ATTACHMENT_BYTES_MAX} bytes")
    joined = _BLANKS.sub("", value)
    try:
        binascii.a2b_base64(joined, strict_mode=True)
    except ValueError:
        raise ValueError("must be base64") from None
    return joined


def _check_type(value: str) -> str:
    if not _TYPE.fullmatch(value):
        raise ValueError("must be a media type like 'application/pdf', without parameters")
    return value.lower()


def _check_content_id(value: str) -> str:
    if not _CONTENT_ID.fullmatch(value):
        raise ValueError("must be up to 128 letters, digits and punctuation, without '<' and '>'")
    return value


class Attachment(BaseModel):
    """A file that travels with a mail."""

    model_config = STRICT

    filename: Annotated[str, AfterValidator(_check_filename)]
    """Its name, without a path."""
    content: Annotated[str, AfterValidator(_check_content)]
    """Its bytes in base64."""
    type: Annotated[str, AfterValidator(_check_type)] = TYPE_DEFAULT
    """Its media type."""
    disposition: Literal["attachment", "inline"] = "attachment"
    """`inline` for an image that the HTML shows by `cid:` and the content id."""
    content_id: Annotated[str, AfterValidator(_check_content_id)] | None = None
    """The name by which the HTML refers to it."""

    @property
    def size(self) -> int:
        """Give the decoded content's bytes, counted without decoding."""
        return len(self.content) * 3 // 4 - self.content[-2:].count("=")

    def decode(self) -> bytes:
        """Give the bytes."""
        return base64.b64decode(self.content)


def check_attachments(attachments: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
    """Hold the attachments of one mail to their common limits."""
    if len(attachments) > ATTACHMENTS_MAX:
        raise ValueError(f"has more than {ATTACHMENTS_MAX} attachments")
    if sum(attachment.size for attachment in attachments) > ATTACHMENT_BYTES_MAX:
        raise ValueError(f"is larger than {ATTACHMENT_BYTES_MAX} bytes in all")
    return attachments
