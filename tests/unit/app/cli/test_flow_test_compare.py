"""Expectations held against what was seen. In: pairs. Out: the places where they part."""

from typing import Any

import pytest

from app.bundle.flow_test_models import Expected
from app.cli.flow_test_compare import compare, differences
from app.cli.flow_test_run import Seen, url_fits

FACTS: dict[str, Any] = {
    "status": "completed",
    "trigger": "event:1",
    "path": ["a", "b"],
    "output": {"sum": 3, "items": [{"n": 1, "more": True}]},
    "error": None,
    "answer": {"status": 201, "headers": {"x-flow": "f", "x-more": "m"}, "body": {"id": 7}},
    "events": [{"event_type": "a.b", "payload": {"id": 1, "x": 2}}],
    "starts": [{"flow": "journal", "payload": None}],
    "logs": [{"level": "info", "message": "seen 7"}, {"level": "debug", "message": ""}],
    "http": [
        {"method": "GET", "url": "https://a.example/x?y=1", "headers": {"h": "1"}, "body": None}
    ],
    "actions": [{"provider": "p", "action": "send", "arguments": {"to": "a", "subject": "s"}}],
}
FAILED = FACTS | {
    "status": "failed",
    "output": None,
    "error": {"code": "script.thrown", "node": "a", "message": "no luck today"},
}


def places(expect: dict[str, Any], facts: dict[str, Any] = FACTS, **state: Any) -> list[str]:
    expected = Expected.model_validate(expect)
    return [item.where for item in compare(expected, Seen(facts, state))]


@pytest.mark.parametrize(
    "expect",
    [
        {},
        {"status": "completed", "trigger": "event:1", "path": ["a", "b"]},
        {"output": {"sum": 3.0, "items": [{"n": 1, "more": True}]}},
        {"output_includes": {"items": [{"n": 1}]}},
        {"answer": {"status": 201, "headers": {"X-Flow": "f"}, "body": {"id": 7}}},
        {"answer": {"body_includes": {}}},
        {"answer": {}},
        {"events": [{"event_type": "a.b", "payload": {"id": 1, "x": 2}}]},
        {"events": [{"event_type": "a.b", "payload_includes": {"id": 1}}]},
        {"starts": [{"flow": "journal", "payload": None}]},
        {"logs": [{"message_includes": "7"}, {"level": "debug", "message": ""}]},
        {
            "http": [
                {"method": "GET", "url": "https://*/x?y=*", "headers": {"H": "1"}, "body": None}
            ]
        },
        {"http": [{}]},
        {"actions": [{"provider": "p", "action": "send", "arguments_includes": {"to": "a"}}]},
    ],
    ids=str,
)
def test_what_fits_has_no_difference(expect: dict[str, Any]) -> None:
    assert places(expect) == []


@pytest.mark.parametrize(
    ("expect", "where"),
    [
        ({"status": "failed"}, "status"),
        ({"error": {}}, "status"),
        ({"trigger": "event:2"}, "trigger"),
        ({"path": ["a"]}, "path"),
        ({"path": ["a", "c"]}, "path.1"),
        ({"output": None}, "output"),
        ({"output": {"sum": 3, "items": [{"n": 1}]}}, "output.items.0.more"),
        ({"output_includes": {"items": []}}, "output.items"),
        ({"output_includes": {"sum": True}}, "output.sum"),
        ({"output_includes": {"absent": None}}, "output.absent"),
        ({"answer": None}, "answer"),
        ({"answer": {"status": 200}}, "answer.status"),
        ({"answer": {"headers": {"x-other": "f"}}}, "answer.headers.x-other"),
        ({"answer": {"body": None}}, "answer.body"),
        ({"events": []}, "events"),
        ({"events": [{"event_type": "a.c"}]}, "events.0.event_type"),
        ({"events": [{"event_type": "a.b", "payload": {"id": 1}}]}, "events.0.payload.x"),
        ({"logs": [{"message_includes": "8"}, {}]}, "logs.0.message"),
        ({"http": [{"url": "https://b.example/*"}]}, "http.0.url"),
        ({"actions": [{"provider": "q", "action": "send"}]}, "actions.0.provider"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_found_at_its_place(expect: dict[str, Any], where: str) -> None:
    assert where in places(expect)


def test_a_failed_run_is_judged_by_its_error() -> None:
    assert places({"error": {"code": "script.thrown", "message_includes": "luck"}}, FAILED) == []
    assert places({"error": {"node": "b"}}, FAILED) == ["error.node"]
    (difference,) = compare(Expected(), Seen(FAILED, {}))
    assert (difference.expected, difference.got) == ("completed", "failed")
    assert difference.note == "script.thrown at a: no luck today"


def test_state_is_judged_key_by_key() -> None:
    assert places({"state": {"a": 1, "b": None}}, a=1, b=None, c=9) == []
    assert places({"state": {"a": 1, "b": None}}, a=2, b=0) == ["state.a", "state.b"]


def test_complaints_fail_whatever_is_expected() -> None:
    found = compare(Expected(), Seen(FACTS, {}, ["nobody takes GET /"]))
    assert [item.note for item in found] == ["nobody takes GET /"]


@pytest.mark.parametrize(
    ("expected", "got", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (False, 0, False),
        (None, False, False),
        ("1", 1, False),
        (2**60 + 1, 2**60, False),
        ([], {}, False),
        ([1, 2], [2, 1], False),
    ],
)
def test_values_are_the_same_or_not(expected: Any, got: Any, is_same: bool) -> None:
    assert (not list(differences(expected, got, "x"))) == is_same
    assert (not list(differences(expected, got, "x", includes=True))) == is_same


@pytest.mark.parametrize(
    ("pattern", "url", "fits"),
    [
        ("https://a.example/", "https://a.example/", True),
        ("https://a.example/*", "https://a.example/x/y?z=1", True),
        ("*", "https://a.example/", True),
        ("https://a.example/", "https://a.example/x", False),
        ("https://a.example/?q=[1]", "https://a.example/?q=[1]", True),
        ("https://a.example/.", "https://a.example/x", False),
        ("https://*.example/", "https://a.example.org/", False),
    ],
)
def test_urls_fit_patterns(pattern: str, url: str, fits: bool) -> None:
    assert url_fits(pattern, url) == fits
