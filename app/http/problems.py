"""What an error means over HTTP: one table, and the document of RFC 9457 that says so.

In: an exception. Out: a `Problem` with status, headers and body. An error that the table does not
know is a 500 whose text tells nothing; no traceback and no secret ever leaves.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from actors import errors as core
from app import errors as outer
from app.bundle.problems import Problem as BundleProblem

PROBLEM_TYPE: Final = "urn:greentic:problem:"
"""With the code it names the kind of problem; ``docs/errors.md`` describes each."""

INTERNAL_CODE: Final = "http.internal"
RETRY_AFTER_SECONDS: Final = 2.0
"""Said with a 503 when the error knows no better: a stream finds its new leader in 4 to 7 s."""

RETRY_AFTER_SECONDS_MAX: Final = 3600
PROBLEMS_MAX: Final = 100
"""Of a bundle, as a refusal lists them."""

STATUSES: Final[Mapping[type[Exception], int]] = {
    outer.IngressError: 400,
    outer.SignatureError: 401,
    outer.ApiKeyError: 401,
    outer.WrongTenantError: 403,
    outer.ForbiddenError: 403,
    outer.OriginRefusedError: 403,
    outer.RouteNotFoundError: 404,
    outer.MethodRefusedError: 405,
    outer.RequestTimedOutError: 408,
    outer.PreconditionFailedError: 412,
    outer.BodyTooLargeError: 413,
    outer.MediaTypeError: 415,
    outer.NotSupportedYetError: 422,
    outer.LockedOutError: 429,
    outer.OverloadedError: 503,
    outer.NotFoundError: 404,
    outer.ConflictError: 409,
    outer.ValueRefusedError: 422,
    outer.BundleError: 422,
    outer.BusError: 503,
    outer.StoreError: 503,
    outer.AppError: 500,
    core.InvalidEventError: 422,
    core.InvalidSubjectError: 422,
    core.UnknownTenantError: 404,
    core.QuotaExceededError: 429,
    core.ActorStoppedError: 503,
    core.MailboxFullError: 503,
    core.AskTimeoutError: 503,
    core.TransientError: 503,
    core.ActorsError: 500,
}
"""Error to status; an error not listed has the status of the nearest class above it."""

_TITLES: Final[Mapping[type[Exception], str]] = {
    core.InvalidEventError: "This is not an event",
    core.InvalidSubjectError: "A name cannot be part of a subject",
    core.UnknownTenantError: outer.TenantNotFoundError.title,
    core.QuotaExceededError: "The tenant is over its quota",
    core.UnavailableError: "The bus does not answer",
    outer.BundleError: "The bundle cannot be used",
}
_INTERNAL: Final = 500
_RETRYABLE: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal: ``application/problem+json`` with a stable ``code``."""

    status: int
    code: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further members, such as ``event_id`` and ``run_id``."""

    def body(self) -> bytes:
        """Give the document's bytes."""
        document = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extra,
        }
        return msgspec.json.encode(document)


def status_of(kind: type[BaseException]) -> int:
    """Look the status of an error class up: its own line of the table or its nearest parent's."""
    for ancestor in kind.__mro__:
        if ancestor in STATUSES:
            return STATUSES[ancestor]
    return _INTERNAL


def problem_of(error: Exception) -> Problem:
    """Describe an error to the client. What is not ours to tell (5xx of the unknown) stays ours."""
    status = status_of(type(error))
    if status == _INTERNAL:
        return Problem(status, INTERNAL_CODE, "Something went wrong here", "It has been logged.")
    return Problem(
        status,
        code=getattr(error, "code", INTERNAL_CODE),
        title=_title(error, status),
        detail=str(error),
        headers=_headers(error, status),
        extra=_extra(error),
    )


def _title(error: Exception, status: int) -> str:
    if isinstance(error, outer.IngressError):
        return error.title
    for ancestor in type(error).__mro__:
        if ancestor in _TITLES:
            return _TITLES[ancestor]
    return HTTPStatus(status).phrase


def _extra(error: Exception) -> dict[str, Any]:
    """Give all that is wrong with a bundle, place by place, without the lines: they are its own."""
    if not isinstance(error, outer.BundleError):
        return {}
    names = ("severity", "code", "message", "file", "line", "column", "hint")
    return {
        "problems": [
            {name: getattr(problem, name) for name in names}
            for problem in error.problems[:PROBLEMS_MAX]
            if isinstance(problem, BundleProblem)
        ]
    }


def _headers(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, outer.MethodRefusedError):
        return {"allow": ", ".join(error.allowed)}
    if isinstance(error, outer.ApiKeyError):
        return {"www-authenticate": "Bearer"}
    if status not in _RETRYABLE:
        return {}
    seconds = getattr(error, "retry_after_seconds", None) or RETRY_AFTER_SECONDS
    return {"retry-after": str(min(max(1, math.ceil(seconds)), RETRY_AFTER_SECONDS_MAX))}
