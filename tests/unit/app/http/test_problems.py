"""One table from error to status: total, and it tells nothing it should not."""

from collections.abc import Iterator

import msgspec
import pytest

from actors.errors import ActorsError
from app.errors import AppError, IngressError, MethodRefusedError
from app.http.problems import STATUSES, Problem, problem_of, status_of


def subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


def in_order(root: type[Exception]) -> list[type[Exception]]:
    def name(kind: type[Exception]) -> str:
        return kind.__name__

    return sorted(subclasses(root), key=name)


@pytest.mark.parametrize("kind", in_order(ActorsError))
def test_every_error_of_the_core_has_a_status(kind: type[Exception]) -> None:
    assert 400 <= status_of(kind) <= 503


@pytest.mark.parametrize("kind", in_order(AppError))
def test_every_error_of_the_outer_package_has_a_status(kind: type[Exception]) -> None:
    assert 400 <= status_of(kind) <= 503


@pytest.mark.parametrize("kind", in_order(IngressError))
def test_every_refusal_has_a_status_of_its_own_kind(kind: type[IngressError]) -> None:
    assert status_of(kind) != STATUSES[IngressError] or kind.__name__ == "BadRequestError"
    assert kind.code.startswith("http.")
    assert kind.title != IngressError.title


def test_codes_are_unique() -> None:
    codes = [kind.__dict__["code"] for kind in subclasses(AppError) if "code" in kind.__dict__]
    assert len(codes) == len(set(codes))


def test_stranger_error_tells_nothing() -> None:
    problem = problem_of(KeyError("the payload"))
    assert problem.status == 500
    assert b"payload" not in problem.body()


def test_document_has_the_members_of_rfc_9457() -> None:
    problem = Problem(502, "http.x", "Title", "Detail", extra={"run_id": "r"})
    assert msgspec.json.decode(problem.body()) == {
        "type": "urn:greentic:problem:http.x",
        "title": "Title",
        "status": 502,
        "detail": "Detail",
        "code": "http.x",
        "run_id": "r",
    }


def test_refused_method_names_the_allowed_ones() -> None:
    problem = problem_of(MethodRefusedError("no", allowed=("GET", "HEAD")))
    assert problem.headers == {"allow": "GET, HEAD"}
