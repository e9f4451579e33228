"""Problems as text, JSON and workflow commands."""

from app.bundle.problems import Problem, bundle_error, errors_of, sorted_problems
from app.bundle.report import (
    as_document,
    as_plain_text,
    as_text,
    as_workflow_command,
    summary_of,
)

ERROR = Problem("error", "flow.x", "is wrong", "a.ygtc", 3, 5, "do this", "  abc\n    ^", ("n", 0))
WARNING = Problem("warning", "flow.y", "looks odd", "a.ygtc", 1)


def test_text_shows_place_line_caret_and_hint() -> None:
    assert as_text(ERROR).plain == (
        "a.ygtc:3:5: error: is wrong [flow.x]\n      abc\n        ^\n  hint: do this"
    )
    assert as_text(WARNING).plain == "a.ygtc:1:1: warning: looks odd [flow.y]"
    assert as_plain_text([WARNING, WARNING]).count("looks odd") == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    problem = Problem("error", "x", "\x1b[31mred\u202e", "f", excerpt="\x9b1m\n^")
    assert "\x1b" not in as_text(problem).plain
    assert "\x9b" not in as_text(problem).plain
    assert "\u202e" not in as_text(problem).plain


def test_the_document_has_every_field() -> None:
    assert as_document(ERROR) == {
        "severity": "error",
        "code": "flow.x",
        "file": "a.ygtc",
        "line": 3,
        "column": 5,
        "path": ["n", 0],
        "message": "is wrong",
        "hint": "do this",
        "excerpt": "  abc\n    ^",
    }


def test_workflow_commands_are_escaped() -> None:
    problem = Problem("error", "x", "50%\nof it", "a,b:c.ygtc", 1, 2)
    assert as_workflow_command(problem) == (
        "::error file=a%2Cb%3Ac.ygtc,line=1,col=2,title=x::50%25%0Aof it"
    )
    assert as_workflow_command(ERROR).endswith("::is wrong (do this)")


def test_the_summary_counts() -> None:
    assert summary_of([ERROR, WARNING, WARNING], 1) == "1 flow file, 1 error, 2 warnings"


def test_problems_are_sorted_and_told_once() -> None:
    assert sorted_problems([ERROR, WARNING, ERROR]) == (WARNING, ERROR)
    assert errors_of([ERROR, WARNING]) == [ERROR]


def test_the_error_of_a_bundle_names_the_first_error() -> None:
    error = bundle_error([WARNING, ERROR, ERROR])
    assert str(error) == "a.ygtc:3:5: is wrong (and 1 more)"
    assert error.problems == (WARNING, ERROR, ERROR)
    assert str(bundle_error([ERROR])) == "a.ygtc:3:5: is wrong"
    assert str(bundle_error([WARNING])) == "a.ygtc:1:1: looks odd"
