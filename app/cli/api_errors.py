"""Refusals of the API as the errors that the same refusal is on the other way.

In: the status and the document of an answer (RFC 9457). Out: an error of the class that its code
names, so that a command ends alike whichever way it went. A code that is not known here keeps its
words; what is no answer of ours is `UnavailableError`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from actors import errors as core
from app import errors as outer
from app.bundle.problems import Problem

_PLAIN: Final[Sequence[type[outer.AppError] | type[core.ActorsError]]] = (
    outer.BadRequestError,
    outer.SignatureError,
    outer.ApiKeyError,
    outer.WrongTenantError,
    outer.ForbiddenError,
    outer.RouteNotFoundError,
    outer.TenantNotFoundError,
    outer.ProviderDisabledError,
    outer.RequestTimedOutError,
    outer.BodyTooLargeError,
    outer.MediaTypeError,
    outer.NotSupportedYetError,
    outer.BusError,
    outer.StoreError,
    outer.NotFoundError,
    outer.ConflictError,
    outer.ValueRefusedError,
    outer.SealError,
    core.ActorStoppedError,
    core.MailboxFullError,
    core.AskTimeoutError,
    core.InvalidSubjectError,
    core.TransientError,
    core.UnavailableError,
)
_CLASSES: Final = {each.code: each for each in _PLAIN} | {
    # Whoever goes to NATS compares revisions there, and is told so.
    outer.PreconditionFailedError.code: outer.ConflictError,
}
_AWAY: Final = frozenset({502, 503, 504})
_RETRY_SECONDS: Final = 1.0


def error_of(
    status: int, document: Mapping[str, Any], headers: Mapping[str, str], tenant: str
) -> outer.AppError | core.ActorsError:
    """Give the error that a refusal tells of. ``tenant``: whom the request was about."""
    code, detail = str(document.get("code", "")), str(document.get("detail", ""))
    if (error := _with_more(code, detail, document, headers, tenant)) is not None:
        return error
    if kind := _CLASSES.get(code):
        return kind(detail)
    if status in _AWAY:
        return core.UnavailableError(detail or f"it answered {status}")
    return outer.IngressError(f"{detail or 'it refuses'} [{code or status}]")


def _with_more(
    code: str, detail: str, document: Mapping[str, Any], headers: Mapping[str, str], tenant: str
) -> outer.AppError | core.ActorsError | None:
    """Give an error that is made of more than a text."""
    field, _, message = detail.partition(": ")
    retry_seconds = _seconds(headers.get("retry-after"))
    makers: Mapping[str, Callable[[], outer.AppError | core.ActorsError]] = {
        outer.BundleError.code: lambda: outer.BundleError(
            detail, _problems(document.get("problems"))
        ),
        outer.LockedOutError.code: lambda: outer.LockedOutError(
            detail, retry_after_seconds=retry_seconds
        ),
        outer.OverloadedError.code: lambda: outer.OverloadedError(
            detail, retry_after_seconds=retry_seconds
        ),
        core.QuotaExceededError.code: lambda: core.QuotaExceededError(
            tenant, detail, retry_after_seconds=retry_seconds
        ),
        core.UnknownTenantError.code: lambda: core.UnknownTenantError(tenant, detail),
        core.InvalidEventError.code: lambda: core.InvalidEventError(field, message),
    }
    make = makers.get(code)
    return None if make is None else make()


def _problems(listed: Any) -> list[Problem]:
    try:
        return msgspec.convert(listed or [], list[Problem])
    except msgspec.ValidationError:
        return []


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else _RETRY_SECONDS
