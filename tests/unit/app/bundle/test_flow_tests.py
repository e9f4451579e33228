"""Test files of flows. In: files. Out: cases, or what is wrong with them and where."""

from pathlib import Path

import pytest

from app.bundle.flow_tests import find_test_files, problems_of_tests, read_test_file
from app.bundle.problems import Problem

FLOW = 'name: a\nversion: "1"\ntriggers: []\nnodes: []\n'
CASE = "tests:\n  - name: one\n    expect: {}\n"


def problems(tmp_path: Path, text: str) -> list[Problem]:
    (tmp_path / "a.ygtc").write_text(FLOW)
    (tmp_path / "a.tests.yaml").write_text(text)
    return problems_of_tests(tmp_path, None)


def test_a_whole_case_is_read(tmp_path: Path) -> None:
    text = """
tests:
  - name: one
    event: {type: a.b, payload: [1], headers: {X-A: "1"}, query: {q: x}, source: api, id: e}
    tenant: demo
    env: prod
    now: 2026-01-31T10:00:00+01:00
    state: {n: 1}
    secrets: {KEY: v}
    http: [{url: "*", method: GET, answer: {status: 404, headers: {a: b}, body: {}}, times: 2}]
    actions: [{provider: p, action: send, error: action.off}]
    expect: {status: failed, error: {code: x}, state: {n: null}, answer: null}
"""
    assert problems(tmp_path, text) == []
    files, names = find_test_files(tmp_path)
    found = read_test_file(files, names[0])
    assert found.flow == "a"
    assert found.tests is not None
    (case,) = found.tests.tests
    assert case.now_ms == 1_769_850_000_000
    assert case.expect.says("answer")
    assert not case.expect.says("output")
    assert found.line_of(0) == 3


@pytest.mark.parametrize(
    ("text", "code", "line", "hint"),
    [
        ("tests: []\n", "flow_test.bad_value", 1, None),
        ("test: []\n", "flow_test.unknown_key", 1, "tests"),
        (CASE + "    evnt: {}\n", "flow_test.unknown_key", 4, "event"),
        ("tests:\n  - name: x\n    expect:\n      pth: []\n", "flow_test.unknown_key", 4, "path"),
        ("tests:\n  - expect: {}\n", "flow_test.missing_key", 2, None),
        ("tests:\n  - name: x\n", "flow_test.missing_key", 2, None),
        (CASE + "    now: yesterday\n", "flow_test.bad_value", 4, None),
        (CASE + "    now: 2026-01-31T10:00:00\n", "flow_test.bad_value", 4, None),
        (CASE + "    event:\n      headers: {a: 1}\n", "flow_test.bad_value", 5, None),
        (CASE + "  - name: one\n    expect: {}\n", "flow_test.bad_value", 1, None),
        ("tests: &a []\n", "yaml.anchor", 1, None),
        ("tests: [\n", "yaml.syntax", 2, None),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, code: str, line: int, hint: str | None, tmp_path: Path
) -> None:
    found = problems(tmp_path, text)
    (item,) = (item for item in found if item.code == code)
    assert item.line == line
    if hint is not None:
        assert hint in str(item.hint)


def test_tests_without_a_flow_beside_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.tests.yaml").write_text(CASE)
    (found,) = problems_of_tests(tmp_path, None)
    assert found.code == "flow_test.no_flow"


def test_files_are_named_from_the_root_of_the_bundle(tmp_path: Path) -> None:
    inner = tmp_path / "apps" / "x" / "flows"
    inner.mkdir(parents=True)
    (inner / "b.tests.yaml").write_text(CASE)
    assert [item.file for item in problems_of_tests(inner, tmp_path)] == [
        "apps/x/flows/b.tests.yaml"
    ]
    assert [item.file for item in problems_of_tests(tmp_path, tmp_path)] == [
        "apps/x/flows/b.tests.yaml"
    ]


def test_a_flow_names_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.ygtc").write_text(FLOW)
    assert find_test_files(tmp_path / "a.ygtc")[1] == []
    (tmp_path / "a.tests.yaml").write_text(CASE)
    assert find_test_files(tmp_path / "a.ygtc")[1] == ["a.tests.yaml"]
    assert find_test_files(tmp_path / "a.tests.yaml")[1] == ["a.tests.yaml"]
    assert find_test_files(tmp_path / "other.txt")[1] == []


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.ygtc").write_text(FLOW)
    (tmp_path / "a.tests.yaml").write_bytes(b"\xff")
    assert [item.code for item in problems_of_tests(tmp_path, None)] == ["bundle.file"]
