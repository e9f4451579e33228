"""Revisions as entity tags: which conditions hold, which are refused, which are none."""

import pytest
from starlette.responses import Response

from app.errors import BadRequestError, PreconditionFailedError
from app.http.api_etags import (
    check_match,
    check_none_match,
    etag_of,
    expected_revision,
    not_modified,
    tag,
)
from app.http.problems import problem_of


def test_a_revision_is_a_strong_tag() -> None:
    response = Response()
    tag(response, 17)
    assert response.headers["etag"] == etag_of(17) == '"17"'


@pytest.mark.parametrize(
    ("header", "revision"), [(None, None), ("*", None), (" * ", None), ('"17"', 17)]
)
def test_if_match_names_a_revision_or_leaves_it_open(
    header: str | None, revision: int | None
) -> None:
    assert expected_revision(header) == revision


@pytest.mark.parametrize(
    "header", ["17", "", '"', '"17', 'W/"17"', '"17", "18"', '"-1"', '"x"', '"\u00b2"', '""', "*, *"]
)  # fmt: skip
def test_if_match_of_another_form_is_malformed(header: str) -> None:
    with pytest.raises(BadRequestError):
        expected_revision(header)
    with pytest.raises(BadRequestError):
        check_match(header, 17)


def test_a_change_for_another_state_is_refused() -> None:
    for header, revision in ((None, None), (None, 3), ('"3"', 3), ("*", 3)):
        check_match(header, revision)
    for header, revision in (('"2"', 3), ('"3"', None), ("*", None)):
        with pytest.raises(PreconditionFailedError) as caught:
            check_match(header, revision)
        assert problem_of(caught.value).status == 412


def test_what_must_not_be_there_is_not() -> None:
    for header, revision in ((None, 3), ("*", None), ('"2"', 3)):
        check_none_match(header, revision)
    for header in ("*", '"3"', 'W/"3"', '"2", "3"'):
        with pytest.raises(PreconditionFailedError):
            check_none_match(header, 3)


def test_what_a_client_has_is_not_sent_again() -> None:
    for header in ('"3"', 'W/"3"', '"1", "3"', "*"):
        known = not_modified(header, 3)
        assert known is not None
        assert (known.status_code, known.headers["etag"], known.body) == (304, '"3"', b"")
    for other in (None, '"4"', '"33"'):
        assert not_modified(other, 3) is None
    with pytest.raises(BadRequestError):
        not_modified("3", 3)
    with pytest.raises(BadRequestError):
        not_modified(", ".join(['"1"'] * 21), 3)
