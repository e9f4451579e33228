"""The `http_response` node. In: answers. Out: what the waiting webhook is told."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.step import WaitingNode
from actors.outcomes import Advance, Answer
from tests.support.steps import REPLY_TO, Stage, a_plan, a_step, build_node, take


async def test_answers_now_and_goes_on() -> None:
    stage = Stage()
    plan = a_plan(
        "http_response",
        {
            "status": "{{payload.code}}",
            "headers": {"X-Order": "{{payload.id}}"},
            "body": {"ok": True, "order": "{{payload}}"},
        },
    )
    payload = {"code": 201, "id": 7}
    assert await take(plan, a_step(stage, payload)) == Advance(binds=False)
    answer = Answer(201, {"X-Order": "7"}, {"ok": True, "order": payload})
    assert stage.answers.sent == {REPLY_TO: [answer]}
    assert plan.answers
    assert not isinstance(plan.behaviour, WaitingNode)


async def test_defaults_are_200_and_no_body() -> None:
    stage = Stage()
    await take(a_plan("http_response", {}), a_step(stage))
    assert stage.answers.sent == {REPLY_TO: [Answer(200, {}, None)]}


async def test_nobody_waiting_is_no_error() -> None:
    stage = Stage()
    await take(a_plan("http_response", {"body": "x"}), a_step(stage, reply_to=None))
    assert stage.answers.sent == {}


@pytest.mark.parametrize("status", [100, 199, 600, "abc", True, None, 2.5])
async def test_bad_status_is_refused(status: Any) -> None:
    stage = Stage()
    plan = a_plan("http_response", {"status": "{{payload}}"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(stage, status))
    assert caught.value.reason == "http_response.bad_answer"
    assert stage.answers.sent == {}


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\x00", "é", "x" * 9000])
async def test_header_that_breaks_out_of_its_line_is_refused(value: str) -> None:
    stage = Stage()
    plan = a_plan("http_response", {"headers": {"X-A": "{{payload}}"}})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(stage, value))
    assert caught.value.reason == "http_response.bad_answer"
    assert stage.answers.sent == {}


async def test_too_large_answer_is_refused() -> None:
    plan = a_plan("http_response", {"body": ["{{payload}}", "{{payload}}"]})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), "x" * 150_000))
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"status": 99}, ("status",)),
        ({"status": "ok"}, ("status",)),
        ({"headers": {"Content-Length": "1"}}, ("headers", "Content-Length")),
        ({"headers": {"a:b": "1"}}, ("headers", "a:b")),
    ],
)
def test_wrong_constants_are_found(config: dict[str, Any], path: tuple[str, ...]) -> None:
    (finding,) = build_node("http_response", config).findings
    assert (finding.code, finding.path) == ("flow.bad_value", ("config", *path))
