"""The shape of a flow document (SPEC 4). In: documents. Out: definitions, or every problem."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.errors import DefinitionError
from actors.flows.definition import TimerTrigger, parse_flow


def problems(document: object) -> list[Diagnostic]:
    with pytest.raises(DefinitionError) as caught:
        parse_flow(document)
    return [item for item in caught.value.diagnostics if isinstance(item, Diagnostic)]


def test_whole_document_is_read(flow: Callable[..., Any]) -> None:
    definition = parse_flow(
        flow(
            {
                "id": "a", "type": "log", "config": {"message": "x"}, "next": "done",
                "on_error": "a", "output": "b", "timeout": 1000,
            },
            description="d",
            variables={"limit": [1]},
            config={
                "timeout": 30_000,
                "retry_policy": {"max_retries": 3, "backoff": "exponential"},
                "logging": {"level": "debug"},
                "singleton": {"mode": "skip"},
            },
            triggers=[
                {"type": "timer", "cron": "0 9 * * *", "target": "a", "timezone": "Asia/Tokyo"},
                {"type": "default", "target": "a"},
                {"type": "message", "target": "a", "pattern": "x"},
                {"type": "event", "event_type": "a.*", "target": "a", "filter": "true"},
            ],
        )
    )  # fmt: skip
    assert definition.name == "orders"
    assert definition.nodes[0].timeout == 1000
    assert definition.config.retry_policy is not None
    assert definition.config.retry_policy.max_retries == 3
    assert isinstance(definition.triggers[0], TimerTrigger)
    assert definition.triggers[0].misfire == "last"


def test_all_problems_are_told_at_once(flow: Callable[..., Any]) -> None:
    document = flow({"id": "a"}, {"id": "1b", "type": 3}, colour="red", version=1.0)
    del document["triggers"]
    found = {(item.code, item.path) for item in problems(document)}
    assert found == {
        ("flow.missing_key", ("nodes", 0, "type")),
        ("flow.bad_value", ("nodes", 1, "id")),
        ("flow.bad_value", ("nodes", 1, "type")),
        ("flow.unknown_key", ("colour",)),
        ("flow.bad_value", ("version",)),
        ("flow.missing_key", ("triggers",)),
    }


def test_unquoted_version_gets_a_hint(flow: Callable[..., Any]) -> None:
    (finding,) = problems(flow(version=1.5))
    assert finding.hint == 'put it in quotes: "1.5"'


@pytest.mark.parametrize(
    ("key", "hint"), [("verson", "version"), ("trigers", "triggers"), ("qqqq", None)]
)
def test_misspelt_key_gets_a_hint(flow: Callable[..., Any], key: str, hint: str | None) -> None:
    (finding,) = problems(flow(**{key: 1}))
    assert finding.hint == (None if hint is None else f"did you mean {hint!r}?")


def test_misspelt_key_deep_inside_gets_a_hint(flow: Callable[..., Any]) -> None:
    (finding,) = problems(flow(config={"retry_policy": {"max_retrys": 1}}))
    assert finding.path == ("config", "retry_policy", "max_retrys")
    assert finding.hint == "did you mean 'max_retries'?"


@pytest.mark.parametrize("name", ["orders", "auth/login", "a-b_c/1", "a" * 63])
def test_flow_names(flow: Callable[..., Any], name: str) -> None:
    assert parse_flow(flow(name=name)).name == name


@pytest.mark.parametrize("name", ["", "Orders", "a//b", "/a", "a/", "a.b", "ä", "a" * 64, 3])
def test_other_flow_names_are_refused(flow: Callable[..., Any], name: Any) -> None:
    assert {item.path for item in problems(flow(name=name))} == {("name",)}


@pytest.mark.parametrize("name", ["a-b", "1a", "", "_", "ä", "a b"])
def test_ids_and_outputs_are_identifiers(flow: Callable[..., Any], name: str) -> None:
    node = {"id": name, "type": "log", "output": name}
    assert {item.path for item in problems(flow(node))} == {
        ("nodes", 0, "id"), ("nodes", 0, "output")
    }  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        {"timeout": 0}, {"timeout": 300_001}, {"timeout": "30s"}, {"timeout": True},
        {"retry_policy": {"max_retries": 21}}, {"retry_policy": {"backoff": "random"}},
        {"logging": {"level": "loud"}}, {"isolated": "yes"},
    ],
)  # fmt: skip
def test_config_out_of_bounds_is_refused(flow: Callable[..., Any], config: Any) -> None:
    assert [item.code for item in problems(flow(config=config))] == ["flow.bad_value"]


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(document: object) -> None:
    assert [item.code for item in problems(document)] == ["flow.bad_value"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1: 2}, "the key 1 is not text"),
        (float("nan"), "not a number"),
        (object(), "is a object"),
        (__import__("datetime").date(2024, 1, 1), "put it in quotes"),
    ],
)
def test_what_json_cannot_say_is_refused(
    flow: Callable[..., Any], value: object, text: str
) -> None:
    (finding,) = problems(flow(variables={"a": [value]}))
    assert finding.code == "flow.not_json"
    assert finding.path == ("variables", "a", 0)
    assert text in finding.message


def test_too_deep_document_is_refused(flow: Callable[..., Any]) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    assert [item.code for item in problems(flow(variables={"a": deep}))] == ["flow.not_json"]


def test_trigger_problems_have_the_places_of_the_document(flow: Callable[..., Any]) -> None:
    document = flow(triggers=[{"type": "timer", "target": "note", "crom": "x"}, {"type": "evnt"}])
    assert {item.path for item in problems(document)} == {
        ("triggers", 0, "cron"), ("triggers", 0, "crom"), ("triggers", 1)
    }  # fmt: skip


def test_union_members_are_told_as_one_problem() -> None:
    from actors.nodes.http_response import HttpResponseConfig
    from actors.nodes.schema import read_model

    _, (finding,) = read_model(HttpResponseConfig, {"status": []}, ("x",))
    assert finding.path == ("x", "status")
    assert "integer" in finding.message
    assert "string" in finding.message


@pytest.mark.parametrize(
    ("script", "operations", "wall_ms"),
    [
        ({}, 100_000, 5),
        ({"operations": 10}, 10, 5),
        ({"timeout": 2}, 100_000, 2),
        ({"timeout": 10_000}, 100_000, 10_000),
        ({"operations": 50_000_000}, 50_000_000, 1_000),
        ({"operations": 200_000, "timeout": 3}, 200_000, 3),
    ],
)
def test_script_limits_have_defaults_that_fit_each_other(
    flow: Callable[..., Any], script: dict[str, int], operations: int, wall_ms: float
) -> None:
    definition = parse_flow(flow({"id": "a", "type": "log"}, config={"script": script}))
    limits = definition.config.script.limits
    assert (limits.operations, limits.wall_ms) == (operations, wall_ms)


@pytest.mark.parametrize(
    "script",
    [
        {"operations": 0},
        {"operations": 50_000_001},
        {"operations": 1.5},
        {"timeout": 0},
        {"timeout": 10_001},
        {"timeout": "1s"},
        {"memory": 1},
    ],
)
def test_script_limits_have_bounds(flow: Callable[..., Any], script: dict[str, object]) -> None:
    (found,) = problems(flow({"id": "a", "type": "log"}, config={"script": script}))
    assert found.path == ("config", "script", *script)
