"""`script run`, `script repl`, `script fmt` and `script conformance`, as their user sees them."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import script_files, script_values
from app.cli.main import run
from app.cli.script_repl import FIRST, NEXT, Prompt, read_lines
from grammar import Dialogue, Limits

Out = Callable[[], tuple[str, str]]
Write = Callable[[str], str]


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Out:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


@pytest.fixture
def script(tmp_path: Path) -> Write:
    """Writes a script and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "a.rhai"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))


def document(out: Out) -> Any:
    return json.loads(out()[0])


# ── run ──────────────────────────────────────────────────────────────────────────────────────


def test_run_shows_output_then_value_and_tells_the_cost_aside(script: Write, out: Out) -> None:
    assert run(["script", "run", script('print("é"); #{a: [1, 2.0], b: ()}')]) == 0
    shown, aside = out()
    assert shown == 'é\n{"a":[1,2.0],"b":null}\n'
    assert aside.startswith("operations  ")
    assert "of 100000" in aside


def test_run_gives_one_document(script: Write, out: Out) -> None:
    assert run(["script", "run", script('print("x"); debug("y"); n + 1'), "--json",
                "--scope", '{"n": 41}']) == 0  # fmt: skip
    found = document(out)
    assert found["value"] == 42
    assert found["output"] == ["x", '"y"']
    assert 0 < found["operations"] < 100
    assert found["state"] == {}
    assert "trace" not in found


def test_state_is_what_the_script_left(script: Write, out: Out) -> None:
    text = 'state.set("n", state.get("n", 0) + 1); state.remove("old"); "old" in state'
    scope = '{"state": {"n": 4, "old": 1}}'
    assert run(["script", "run", script(text), "--scope", scope, "--json"]) == 0
    assert document(out)["state"] == {"n": 5}
    assert run(["script", "run", script(text), "--scope", scope]) == 0
    assert 'state       #{"n": 5}' in out()[1]


def test_a_state_that_is_no_object_is_a_plain_name(script: Write, out: Out) -> None:
    assert run(["script", "run", script("state + 1"), "--scope", '{"state": 1}', "--json"]) == 0
    assert document(out) | {"operations": 0} == {
        "value": 2, "output": [], "operations": 0, "state": None,
    }  # fmt: skip


def test_scope_and_libraries_come_from_files(script: Write, tmp_path: Path, out: Out) -> None:
    (tmp_path / "scope.json").write_text('{"n": 3}')
    (tmp_path / "one.rhai").write_text("fn twice(x) { x * 2 }")
    (tmp_path / "two.rhai").write_text("fn more(x) { twice(x) + 1 }")
    arguments = ["script", "run", script("more(n)"), "--scope", f"@{tmp_path / 'scope.json'}"]
    for name in ("one", "two"):
        arguments += ["--library", str(tmp_path / f"{name}.rhai")]
    assert run(arguments) == 0
    assert out()[0] == "7\n"


def test_run_reads_standard_input(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    piped(monkeypatch, "6 * 7")
    assert run(["script", "run", "-"]) == 0
    assert out()[0] == "42\n"


def test_an_error_has_a_caret_and_what_was_printed_before_it(script: Write, out: Out) -> None:
    path = script('print("before");\nlet total = 1;\ntotl + 1')
    assert run(["script", "run", path]) == 1
    shown, aside = out()
    assert shown == "before\n"
    assert aside.splitlines() == [
        "variable_not_found: Variable not found: totl",
        f"  --> {path}:3:1",
        "  | totl + 1",
        "  | ^^^^",
        "  hint: did you mean `total`?",
    ]


def test_an_error_as_a_document(script: Write, out: Out) -> None:
    path = script("let total = 1;\ntotl + 1")
    assert run(["script", "run", path, "--json"]) == 1
    assert document(out)["error"] == {
        "code": "grammar.evaluation", "kind": "variable_not_found",
        "message": "Variable not found: totl", "line": 2, "column": 1, "file": path,
        "hint": "did you mean `total`?",
    }  # fmt: skip


def test_all_findings_of_a_check_are_told(script: Write, out: Out) -> None:
    path = script("break;\ncontinue;")
    assert run(["script", "run", path, "--json"]) == 1
    error = document(out)["error"]
    assert (error["code"], error["line"]) == ("grammar.check", 1)
    assert [item["line"] for item in error["others"]] == [2]
    assert run(["script", "run", path]) == 1
    assert out()[1].count("  --> ") == 2


def test_limits_are_those_of_flows(script: Write, out: Out) -> None:
    assert run(["script", "run", script("loop { }"), "--json"]) == 1
    error = document(out)["error"]
    assert (error["code"], error["kind"]) == ("grammar.budget_exceeded", "limit_operations")


def test_a_value_that_is_no_json_is_refused(script: Write, out: Out) -> None:
    assert run(["script", "run", script("[0.0 / 0.0]")]) == 1
    assert "actors.invalid_event" in out()[1]
    assert run(["script", "run", script("|x| x")]) == 1
    assert "not_serialisable" in out()[1]


def test_trace_shows_lines_and_what_functions_give(script: Write, out: Out) -> None:
    path = script("fn f(x) {\n  x + 1\n}\nlet a = f(1);\n[a].map(|x|\n  x * n)")
    assert run(["script", "run", path, "--trace", "--scope", '{"n": 2}']) == 0
    assert out()[1].splitlines()[:-1] == [
        f"{path}:4  let a = f(1);",
        f"{path}:2  x + 1",
        f"{path}:2  f gives 2",
        f"{path}:5  [a].map(|x|",
        f"{path}:6  x * n)",
        f"{path}:6  closure gives 4",
    ]


def test_trace_as_a_document_and_long_values_cut(script: Write, out: Out) -> None:
    path = script('fn f(x) {\n  x + 1\n}\nf("y");\nf("' + "x" * 200 + '")')
    assert run(["script", "run", path, "--trace", "--json"]) == 0
    assert document(out)["trace"][:3] == [
        {"file": path, "line": 4, "function": None},
        {"file": path, "line": 2, "function": "f"},
        {"file": path, "line": 2, "function": "f", "gives": '"y1"'},
    ]
    assert run(["script", "run", path, "--trace"]) == 0
    assert f'f gives "{"x" * 79}…' in out()[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scope", "[1]"], "no JSON object"),
        (["--scope", "{"], "no JSON"),
        (["--scope", "@absent.json"], "absent.json: No such file"),
        (["--library", "absent.rhai"], "absent.rhai: No such file"),
    ],
)
def test_what_cannot_be_read_is_told(
    arguments: list[str], words: str, script: Write, out: Out
) -> None:
    assert run(["script", "run", script("1"), *arguments]) == 1
    assert words in out()[1]


def test_files_are_small_texts(
    script: Write, tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "odd.rhai"
    odd.write_bytes(b"\xff")
    assert run(["script", "run", str(odd)]) == 1
    assert "no UTF-8 text" in out()[1]
    monkeypatch.setattr(script_values, "FILE_BYTES_MAX", 3)
    assert run(["script", "run", script("1 + 1")]) == 1
    assert "larger than 3 bytes" in out()[1]


# ── repl ─────────────────────────────────────────────────────────────────────────────────────


def answers(monkeypatch: pytest.MonkeyPatch, out: Out, *lines: str) -> tuple[str, str]:
    piped(monkeypatch, "".join(f"{line}\n" for line in lines))
    assert run(["script", "repl", "--scope", '{"n": 2}']) == 0
    return out()


def test_names_stay_and_values_are_shown(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    lines = ["let x = n + 1", "fn f(a) {", "  a * x2", "}", "fn f(a) { a * 2 }", "", "f(x)",
             'print("é"); "s"', ":quit", "1"]  # fmt: skip
    assert answers(monkeypatch, out, *lines) == ('6\né\n"s"\n', "")


def test_an_error_shows_its_place_and_the_prompt_goes_on(
    monkeypatch: pytest.MonkeyPatch, out: Out
) -> None:
    shown, aside = answers(monkeypatch, out, 'print("p"); n.no.no', "n")
    assert shown == "p\n2\n"
    assert "--> <input 1>:1:" in aside
    assert "^" in aside


def test_scope_help_and_unknown_words(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    shown, aside = answers(monkeypatch, out, "let f = |x| x", "fn g(a, b) { a }",
                           ":scope", ":help", ":nonsense")  # fmt: skip
    assert shown.splitlines()[:4] == ["f = Fn(anon$1)", "n = 2", "state = #{}", "fn g/2"]
    assert ":quit" in shown
    assert "there is no :nonsense" in aside


def test_an_empty_line_gives_up_on_an_open_input(monkeypatch: pytest.MonkeyPatch, out: Out) -> None:
    shown, aside = answers(monkeypatch, out, "[1,", "", "n")
    assert shown == "2\n"
    assert "parse: Script is incomplete" in aside


class Typist:
    """Types lines; an exception in their place is raised."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        self._lines: Iterator[str | type[BaseException]] = iter(lines)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        line = next(self._lines, EOFError)
        if isinstance(line, str):
            return line
        raise line


def test_ctrl_c_gives_up_on_the_input_and_ctrl_d_ends(out: Out) -> None:
    typist = Typist("[1,", KeyboardInterrupt, "1")
    limits = Limits()
    Prompt(Dialogue({}, limits=limits), typist, limits).run()
    assert out()[0] == "\n1\n"
    assert typist.prompts == [FIRST, NEXT, FIRST, FIRST]


def test_ctrl_c_stops_a_script_and_not_the_prompt(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Dialogue, text: str, budget: Any = None) -> Any:
        raise KeyboardInterrupt

    limits = Limits()
    monkeypatch.setattr(Dialogue, "run", interrupted)
    Prompt(Dialogue({}, limits=limits), Typist("loop {}", ":quit"), limits).run()
    assert out() == ("", "interrupted\n")


def test_a_terminal_has_editing_where_the_system_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert read_lines() is input
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert read_lines() is input


# ── fmt ──────────────────────────────────────────────────────────────────────────────────────

UNEVEN = "fn f(x){\n x+1\n}\n"
EVEN = "fn f(x) {\n    x + 1\n}\n"


def test_fmt_lays_out_in_place_and_is_content_then(script: Write, out: Out) -> None:
    path = script(UNEVEN)
    assert run(["script", "fmt", path]) == 0
    assert Path(path).read_text() == EVEN
    assert out()[0] == f"{path}\n"
    assert run(["script", "fmt", path, "--check"]) == 0
    assert out()[0] == ""


def test_fmt_check_writes_nothing_and_fails(script: Write, out: Out) -> None:
    path = script(UNEVEN)
    assert run(["script", "fmt", "--check", path]) == 1
    assert out()[0] == f"{path} would change\n"
    assert Path(path).read_text() == UNEVEN


def test_fmt_diff_shows_and_writes_nothing(script: Write, out: Out) -> None:
    path = script(UNEVEN)
    assert run(["script", "fmt", "--diff", path]) == 0
    shown = out()[0]
    assert "- x+1\n" in shown
    assert "+    x + 1\n" in shown
    assert Path(path).read_text() == UNEVEN
    assert run(["script", "fmt", "--diff", "--check", path]) == 1


def test_fmt_of_standard_input_writes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, out: Out
) -> None:
    piped(monkeypatch, "1+1")
    assert run(["script", "fmt", "-"]) == 0
    assert out()[0] == "1 + 1\n"


def test_fmt_tells_what_does_not_parse_and_does_the_rest(
    tmp_path: Path, script: Write, out: Out
) -> None:
    bad = tmp_path / "bad.rhai"
    bad.write_text("let = 1")
    good = script(UNEVEN)
    assert run(["script", "fmt", str(bad), good]) == 1
    assert f"--> {bad}:1:5" in out()[1]
    assert Path(good).read_text() == EVEN
    assert bad.read_text() == "let = 1"


# ── conformance ──────────────────────────────────────────────────────────────────────────────

RIGHT = {"id": "a", "mode": "script", "script": "1 + 1", "expect": {"value": 2, "type": "int"}}
WRONG = {"id": "b", "mode": "script", "script": "0.0 / 0.0", "expect": {"value": 1}}


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., str]:
    """Writes a case file of lines and gives its path."""

    def write(*lines: Any) -> str:
        path = tmp_path / "cases.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts) + "\n")
        return str(path)

    return write


def test_cases_that_come_out_right_are_only_counted(cases: Callable[..., str], out: Out) -> None:
    assert run(["script", "conformance", cases(RIGHT, "", RIGHT)]) == 0
    assert out()[0] == "2 of 2 cases come out right\n"


def test_a_wrong_case_is_shown_and_fails(cases: Callable[..., str], out: Out) -> None:
    path = cases(RIGHT, WRONG)
    assert run(["script", "conformance", path]) == 1
    lines = out()[0].splitlines()
    assert lines[0] == f"{path}:2: b"
    assert '{"$float": "nan"}' in lines[1]
    assert lines[2] == '  expected  {"value": 1}'
    assert lines[3] == "1 of 2 cases come out right"


def test_one_object_a_line_for_programs(cases: Callable[..., str], out: Out) -> None:
    assert run(["script", "conformance", cases(RIGHT, WRONG), "--json"]) == 1
    first, second = (json.loads(line) for line in out()[0].splitlines())
    assert first == {
        "id": "a", "ok": True, "got": {"value": 2, "type": "int", "output": []},
        "expected": {"value": 2, "type": "int"},
    }  # fmt: skip
    assert set(second) == {"id", "ok", "got", "expected"}
    assert second["ok"] is False


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is no JSON:"),
        ("[" * 100_000, "is no JSON:"),
        ("[1]", "is no JSON object"),
        ({"id": "x"}, "is no case: mode, script, expect missing"),
        (RIGHT | {"mode": "odd"}, "is no case: KeyError: 'odd'"),
        (RIGHT | {"script": 1}, "is no case:"),
        (RIGHT | {"limits": {"depth": "x"}}, "is no case: ValueError"),
        (RIGHT | {"limits": []}, "is no case:"),
        (RIGHT | {"expect": 1}, "is no case:"),
    ],
)
def test_a_broken_line_is_told_with_its_number(
    line: Any, words: str, cases: Callable[..., str], out: Out
) -> None:
    path = cases(RIGHT, line)
    assert run(["script", "conformance", path]) == 1
    assert f"{path}:2: {words}" in out()[1]


def test_no_file_no_cases_and_long_lines_fail(
    cases: Callable[..., str], tmp_path: Path, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["script", "conformance", str(tmp_path / "no.jsonl")]) == 1
    assert "No such file" in out()[1]
    assert run(["script", "conformance", cases("")]) == 1
    assert "has no case" in out()[1]
    monkeypatch.setattr(script_files, "CASE_LINE_BYTES_MAX", 10)
    assert run(["script", "conformance", cases(RIGHT)]) == 1
    assert ":1: is longer than 10 bytes" in out()[1]
