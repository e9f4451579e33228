"""Refusals of the API as responses, and what validation found as one of them.

In: an error or a `Problem`. Out: a response with ``application/problem+json``. Never echoes what a
client sent: it may be a secret at the wrong place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from app.errors import BadRequestError
from app.http.problems import Problem, problem_of

PROBLEM_MEDIA: Final = "application/problem+json"
NO_STORE: Final = {"cache-control": "no-store"}
PLACES_MAX: Final = 20
PLACE_CHARS_MAX: Final = 120

_MESSAGES: Final[Mapping[str, str]] = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "union_tag_invalid": "is of no kind that there is",
    "union_tag_not_found": "does not say of what kind it is",
}
"""Texts in place of pydantic's, some of which repeat the value."""


def respond_problem(problem: Problem) -> Response:
    """Give the response that tells a problem."""
    return Response(
        problem.body(),
        status_code=problem.status,
        headers={**NO_STORE, **problem.headers},
        media_type=PROBLEM_MEDIA,
    )


def problem_of_request(error: Exception) -> Problem:
    """Describe any refusal of the API."""
    if isinstance(error, RequestValidationError):
        return _problem_of_validation(error.errors())
    return problem_of(error)


def _problem_of_validation(found: Sequence[Mapping[str, Any]]) -> Problem:
    places = [
        {"place": _place(each["loc"]), "message": _message(each)} for each in found[:PLACES_MAX]
    ]
    first = places[0] if places else {"place": "request", "message": "is malformed"}
    return Problem(
        status=400,
        code=BadRequestError.code,
        title=BadRequestError.title,
        detail=f"{first['place']}: {first['message']}",
        extra={"errors": places},
    )


def _place(parts: Sequence[Any]) -> str:
    text = ".".join(str(part) for part in parts).encode("ascii", "replace").decode()
    return text[:PLACE_CHARS_MAX]


def _message(found: Mapping[str, Any]) -> str:
    text = _MESSAGES.get(found["type"]) or str(found["msg"])
    return text.removeprefix("Value error, ")
