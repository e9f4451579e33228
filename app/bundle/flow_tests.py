"""Test files of flows: `NAME.tests.yaml` beside `NAME.ygtc`.

In: paths. Out: the cases of each file, or every problem with its place. Refuses test files that
stand beside no flow. Nothing of this is read when a bundle is started.
"""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from actors.nodes.schema import read_model
from app.bundle.collecting import FLOW_SUFFIX
from app.bundle.document import Document
from app.bundle.files import BundleFiles, FolderFiles
from app.bundle.flow_test_models import FlowTests
from app.bundle.problems import Problem, errors_of
from app.bundle.yaml import read_yaml

TESTS_SUFFIX: Final = ".tests.yaml"


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A test file, read."""

    document: Document
    tests: FlowTests | None
    problems: tuple[Problem, ...]
    flow: str | None
    """The name of the flow beside; None where there is no such file, or none that says its name."""

    @property
    def file(self) -> str:
        """Its path."""
        return self.document.file

    def line_of(self, index: int) -> int:
        """Give the line on which a case begins."""
        return self.document.position_of(("tests", index))[0]


def find_test_files(path: Path) -> tuple[FolderFiles, list[str]]:
    """Find the test files that a path names: itself, the one beside a flow, or all in a folder."""
    if path.is_dir():
        files = FolderFiles(path)
        return files, files.list_files("", TESTS_SUFFIX)
    files = FolderFiles(path.parent)
    name = path.name
    if name.endswith(FLOW_SUFFIX):
        name = name.removesuffix(FLOW_SUFFIX) + TESTS_SUFFIX
        return files, [name] if files.has_file(name) else []
    return files, [name] if name.endswith(TESTS_SUFFIX) else []


def read_test_file(files: BundleFiles, file: str) -> CaseFile:
    """Read one test file; what is wrong with it is in its problems."""
    text = files.read_text(file)
    if text is None:
        return CaseFile(Document(file, ""), None, (files.problems.pop(),), None)
    document = read_yaml(text, file)
    beside = str(PurePosixPath(file).with_name(_flow_file(file)))
    flow = _flow_name(files, beside)
    problems = list(document.problems)
    if not files.has_file(beside):
        message = f"there is no flow {beside} beside these tests"
        problems.append(document.problem((), "flow_test.no_flow", message))
    if errors_of(document.problems):
        return CaseFile(document, None, tuple(problems), flow)
    tests, findings = read_model(FlowTests, document.data, ())
    for item in findings:
        code = item.code.replace("flow.", "flow_test.", 1)
        problems.append(document.problem(item.path, code, item.message, hint=item.hint))
    return CaseFile(document, tests, tuple(problems), flow)


def problems_of_tests(path: Path, root: Path | None) -> list[Problem]:
    """Give everything that is wrong with the test files that a path names, as seen from a root."""
    files, names = find_test_files(path)
    start = "" if root is None else _prefix(files.root, root)
    problems = [item for name in names for item in read_test_file(files, name).problems]
    return [replace(item, file=start + item.file) for item in [*problems, *files.problems]]


def _prefix(inner: Path, root: Path) -> str:
    if not inner.is_relative_to(root):
        return ""
    inside = inner.relative_to(root).as_posix()
    return "" if inside == "." else f"{inside}/"


def _flow_file(file: str) -> str:
    return PurePosixPath(file).name.removesuffix(TESTS_SUFFIX) + FLOW_SUFFIX


def _flow_name(files: BundleFiles, file: str) -> str | None:
    text = files.read_text(file) if files.has_file(file) else None
    data = None if text is None else read_yaml(text, file).data
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None
