"""A script's error stands in the flow's file, on the line of the script."""

from pathlib import Path

from app.bundle.inspecting import inspect_path

FLOW = """\
name: a
version: "1"
triggers:
  - {type: event, event_type: a.b, target: work}
nodes:
  - id: work
    type: script
    config:
      script: |
        let a = 1;
        let b = ;
        a
"""


def test_an_error_in_a_block_is_placed_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.ygtc").write_text(FLOW)
    (problem,) = inspect_path(tmp_path / "a.ygtc").problems
    assert (problem.file, problem.line) == ("a.ygtc", 11)
    assert problem.column == 17
    assert problem.excerpt is not None
    assert "let b = ;" in problem.excerpt
    assert "position" not in problem.message
