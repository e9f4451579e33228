"""Revisions as entity tags: a change that was made for another state is refused, not applied.

In: ``If-Match`` and ``If-None-Match`` of a request, revisions of a store. Out: the revision that a
client has seen, ``ETag`` headers, 304. Refuses conditions that do not hold (412) and tags that are
none of ours (400): a tag is a revision in quotes, ``"17"``; weak ones (``W/"17"``) compare alike in
``If-None-Match`` alone, as RFC 9110 (13.1) has it.
"""

import re
from typing import Annotated, Final

from fastapi import Header
from starlette.responses import Response

from app.errors import BadRequestError, PreconditionFailedError

TAGS_MAX: Final = 20
TAG_CHARS_MAX: Final = 400
ANY: Final = "*"
_NOT_MODIFIED: Final = 304

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of the state that the change is made for.", max_length=TAG_CHARS_MAX
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        description="An ETag that is known, or * for what must not be there.",
        max_length=TAG_CHARS_MAX,
    ),
]


def etag_of(revision: int) -> str:
    """Give a revision's entity tag."""
    return f'"{revision}"'


def tag(response: Response, revision: int) -> None:
    """Say the revision of what is in a response."""
    response.headers["etag"] = etag_of(revision)


def expected_revision(if_match: str | None) -> int | None:
    """Give the revision that a change is for; None: whatever there is (no header, or ``*``).

    BadRequestError for anything but one strong tag of ours: a store compares one revision.
    """
    if if_match is None or if_match.strip() == ANY:
        return None
    ((is_weak, opaque), *more) = _tags(if_match, "If-Match")
    if is_weak or more or not (opaque.isascii() and opaque.isdecimal()):
        raise BadRequestError("If-Match must be one ETag of this resource, or *")
    return int(opaque)


def check_match(if_match: str | None, revision: int | None) -> None:
    """Refuse (412) a change for another revision than the one there is; None: there is nothing."""
    if if_match is None:
        return
    wanted = expected_revision(if_match)
    if revision is None or (wanted is not None and wanted != revision):
        raise PreconditionFailedError("it has changed since: read it again")


def check_none_match(if_none_match: str | None, revision: int | None) -> None:
    """Refuse (412) a change where there is what the client says there is not."""
    if if_none_match is not None and revision is not None and _is_among(if_none_match, revision):
        raise PreconditionFailedError("there is one already")


def not_modified(if_none_match: str | None, revision: int) -> Response | None:
    """Give 304 where the client has this very revision, else None."""
    if if_none_match is None or not _is_among(if_none_match, revision):
        return None
    return Response(status_code=_NOT_MODIFIED, headers={"etag": etag_of(revision)})


def _is_among(header: str, revision: int) -> bool:
    if header.strip() == ANY:
        return True
    return any(opaque == str(revision) for _, opaque in _tags(header, "If-None-Match"))


def _tags(header: str, name: str) -> list[tuple[bool, str]]:
    found = [_TAG.fullmatch(part.strip()) for part in header.split(",")][: TAGS_MAX + 1]
    tags = [(match[1] is not None, match[2]) for match in found if match is not None]
    if len(tags) != len(found) or len(tags) > TAGS_MAX:
        raise BadRequestError(f"{name} is no list of ETags")
    return tags
