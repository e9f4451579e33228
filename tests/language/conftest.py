"""Collects `*.flow` files: scripts with the expected value or error beside the line.

A case is a block between lines of dashes. `#=> JSON` ends it with the expected value, `#! kind`
with the expected error, and `#! kind @ line:column` with its place too. `# scope JSON` gives names,
`# condition` reads the block as a condition, `# print JSON` expects printed texts.
"""

# ruff: noqa: PT017 - an error is one of the allowed outcomes
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grammar import Budget, GrammarError, Limits, compile_condition, compile_script

SEPARATOR = "----"


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.File | None:
    if file_path.suffix != ".flow":
        return None
    collected: pytest.File = FlowFile.from_parent(parent, path=file_path)
    return collected


class FlowFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        number = 1
        block: list[str] = []
        for at, line in enumerate([*self.path.read_text(encoding="utf-8").split("\n"), SEPARATOR]):
            if not line.startswith(SEPARATOR):
                block.append(line)
                continue
            if any(item.strip() for item in block):
                name = f"{self.path.stem}:{number}"
                yield FlowItem.from_parent(self, name=name, block=block)
            block, number = [], at + 2


class FlowItem(pytest.Item):
    def __init__(self, *, block: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._script: list[str] = []
        self._scope: dict[str, Any] = {}
        self._printed: list[str] | None = None
        self._condition = False
        self._want: tuple[str, str] | None = None
        for line in block:
            self._read(line)

    def _read(self, line: str) -> None:
        code, found, rest = line.partition("#=>")
        kind = "value"
        if not found:
            code, found, rest = line.partition("#!")
            kind = "error"
        if found:
            self._want = (kind, rest.strip())
            self._script.append(code.rstrip())
        elif line.startswith("# scope "):
            self._scope = json.loads(line[8:])
        elif line.startswith("# print "):
            self._printed = json.loads(line[8:])
        elif line.strip() == "# condition":
            self._condition = True
        elif not line.startswith("# "):
            self._script.append(line)

    def runtest(self) -> None:
        assert self._want is not None, "a case needs `#=>` or `#!`"
        kind, want = self._want
        limits = Limits(wall_ms=None)
        budget = Budget(limits)
        compiler = compile_condition if self._condition else compile_script
        source = "\n".join(self._script)
        try:
            got: Any = compiler(source, name=self.name).run(self._scope, budget)
        except GrammarError as error:
            assert kind == "error", error.render()
            assert error.span is not None
            place = f" @ {error.span.line}:{error.span.column}" if "@" in want else ""
            assert f"{error.kind}{place}" == want, error.render()
        else:
            assert kind == "value", f"got {got!r}, expected the error {want}"
            expected = json.loads(want)
            assert (got, type(got)) == (expected, type(expected))
        if self._printed is not None:
            assert list(budget.printed) == self._printed

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name
