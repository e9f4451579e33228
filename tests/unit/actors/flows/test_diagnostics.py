"""Findings. In: diagnostics in any order. Out: the order of the document, told once."""

import pytest

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean, has_errors
from actors.flows.diagnostics import in_document_order, summarize


def a_finding(path: DocumentPath, code: str = "flow.x") -> Diagnostic:
    return Diagnostic("error", code, path, "is wrong")


def test_order_is_that_of_the_document() -> None:
    paths: list[DocumentPath] = [
        (), ("name",), ("config", "timeout"), ("nodes",), ("nodes", 2), ("nodes", 2, "id"),
        ("nodes", 10), ("triggers", 0),
    ]  # fmt: skip
    found = in_document_order(a_finding(path) for path in reversed(paths))
    assert [item.path for item in found] == paths


def test_same_finding_is_told_once() -> None:
    assert in_document_order([a_finding(("a",)), a_finding(("a",))]) == [a_finding(("a",))]


def test_summary_names_the_first_error_and_counts_the_others() -> None:
    warning = Diagnostic("warning", "flow.w", ("nodes", 0), "is odd")
    one = [warning, a_finding(("nodes", 1, "next"))]
    assert summarize("orders", one) == "flow 'orders': nodes.1.next: is wrong"
    assert summarize("orders", [*one, a_finding(())]).endswith("is wrong (and 1 more)")


def test_only_errors_forbid_running() -> None:
    assert not has_errors([Diagnostic("warning", "c", (), "m")])
    assert has_errors([Diagnostic("warning", "c", (), "m"), a_finding(())])


@pytest.mark.parametrize(
    ("name", "hint"), [("scirpt", "did you mean 'script'?"), ("zzz", None), ("", None)]
)
def test_closest_name_is_suggested(name: str, hint: str | None) -> None:
    assert did_you_mean(name, ["script", "branch"]) == hint
