"""The `http` node. In: requests and answers of a scripted caller. Out: wire bytes and values."""

import base64
import json
from email.utils import formatdate
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError
from actors.outcomes import Completed, Continued
from actors.ports import ABSENT, HttpRequest, HttpResponse
from actors.runs.in_hand import RunsInHand
from actors.runs.request import SharedDelivery, request_of
from actors.runs.way import Way
from actors.testing.http import MemoryHttp
from tests.support.builders import Yard, a_flow, a_node, an_event, by_name
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of

URL = "https://api.test/orders"


def answering(
    body: bytes = b"", *, status: int = 200, content_type: str | None = "application/json"
) -> Stage:
    headers = {} if content_type is None else {"content-type": content_type}
    return Stage(http=MemoryHttp(lambda _: HttpResponse(status, headers, body)))


async def sent(config: dict[str, Any], payload: Any = None) -> HttpRequest:
    stage = Stage()
    await take(a_plan("http", config), a_step(stage, payload))
    ((tenant, request),) = stage.http.calls
    assert tenant == "demo"
    return request


def header(request: HttpRequest, name: str) -> str | None:
    return next((value for given, value in request.headers if given.lower() == name), None)


async def test_request_is_rendered() -> None:
    request = await sent(
        {
            "method": "post",
            "url": "https://api.test/{{payload.id}}",
            "headers": {"X-Tenant": "{{tenant_id}}", "X-N": 3, "X-None": None},
            "query": {"q": "a b&c", "n": [1, 2], "none": None},
            "body": {"order": "{{payload}}"},
            "timeout": 1500,
        },
        {"id": "o-1"},
    )
    assert request.method == "POST"
    assert request.url == "https://api.test/o-1?q=a%20b%26c&n=1&n=2"
    assert json.loads(request.body or b"") == {"order": {"id": "o-1"}}
    assert request.timeout_seconds == 1.5
    assert request.body_bytes_max == 256 * 1024
    assert header(request, "x-tenant") == "demo"
    assert header(request, "x-n") == "3"
    assert header(request, "x-none") is None
    assert header(request, "content-type") == "application/json"


async def test_every_call_carries_the_key_of_its_step() -> None:
    assert header(await sent({"url": URL}), "idempotency-key") == "run-1:step:1"
    own = await sent({"url": URL, "headers": {"idempotency-KEY": "mine"}})
    assert [v for n, v in own.headers if n.lower() == "idempotency-key"] == ["mine"]


@pytest.mark.parametrize(
    ("body", "headers", "data", "content_type"),
    [
        (None, {}, None, None),
        ("grüß", {}, "grüß".encode(), "text/plain; charset=utf-8"),
        ("<a/>", {"Content-Type": "text/xml"}, b"<a/>", "text/xml"),
        ([1, None], {}, b"[1,null]", "application/json"),
        (0, {}, b"0", "application/json"),
        (
            {"a": "x y", "b": [1, 2]},
            {"content-type": "application/x-www-form-urlencoded"},
            b"a=x%20y&b=1&b=2",
            "application/x-www-form-urlencoded",
        ),
        (
            {"a": 1},
            {"content-type": "application/vnd.x+json"},
            b'{"a":1}',
            "application/vnd.x+json",
        ),
    ],
)
async def test_body_and_content_type(
    body: Any, headers: dict[str, str], data: bytes | None, content_type: str | None
) -> None:
    request = await sent({"method": "POST", "url": URL, "body": body, "headers": headers})
    assert request.body == data
    assert header(request, "content-type") == content_type


async def test_big_integers_of_the_body_stay_exact() -> None:
    request = await sent({"method": "POST", "url": URL, "body": "{{payload}}"}, {"id": 2**60 + 1})
    assert request.body == b'{"id":1152921504606846977}'


async def test_basic_and_bearer_authorization() -> None:
    basic = await sent({"url": URL, "auth": {"type": "basic", "username": "a", "password": "é"}})
    assert header(basic, "authorization") == "Basic " + base64.b64encode("a:é".encode()).decode()
    bearer = await sent(
        {"url": URL, "auth": {"type": "bearer", "token": "{{payload.t}}"}}, {"t": "abc"}
    )
    assert header(bearer, "authorization") == "Bearer abc"


async def test_bad_token_is_refused_without_telling_it() -> None:
    plan = a_plan("http", {"url": URL, "auth": {"type": "bearer", "token": "{{payload}}"}})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), "secret\r\nX: 1"))
    assert "secret" not in str(caught.value)


async def test_json_body_is_parsed_and_its_fields_are_reachable() -> None:
    stage = answering(b'{"description": "sun", "status": "mine", "n": 1152921504606846977}')
    value = await value_of(a_plan("http", {"url": URL}), a_step(stage))
    assert value["description"] == "sun"
    assert value["n"] == 2**60 + 1
    assert value["status"] == 200
    assert value["ok"] is True
    assert value["body"]["status"] == "mine"
    assert value["headers"] == {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"[1]", "application/problem+json; charset=utf-8", [1]),
        (b'{"a":1}', "text/plain", '{"a":1}'),
        (b' {"a":1}', None, {"a": 1}),
        (b"plain", None, "plain"),
        (b"{broken", "application/json", "{broken"),
        (b"NaN", "application/json", "NaN"),
        (b"[" * 100_000, "application/json", "[" * 100_000),
        (b"\xff", "text/plain", "\ufffd"),
    ],
)
async def test_body_of_the_answer(body: bytes, content_type: str | None, expected: Any) -> None:
    stage = answering(body, content_type=content_type)
    value = await value_of(a_plan("http", {"url": URL}), a_step(stage))
    assert value["body"] == expected


async def test_any_status_is_an_answer() -> None:
    value = await value_of(a_plan("http", {"url": URL}), a_step(answering(status=503)))
    assert (value["status"], value["ok"]) == (503, False)


# ── Answers that say "not now" ───────────────────────────────────────────────────────────────

RETRY = {"max_retries": 2}
NOT_NOW = [408, 425, 429, 500, 502, 503, 504]


async def told_to_come_again(status: int, headers: dict[str, str]) -> TransientError:
    """Take a step that may be tried again; give what it failed by."""
    stage = Stage(http=MemoryHttp(lambda _: HttpResponse(status, headers, b"later")))
    step = a_step(stage)
    step.retries_left = 1
    with pytest.raises(TransientError) as caught:
        await take(a_plan("http", {"url": URL, "retry": RETRY}), step)
    return caught.value


@pytest.mark.parametrize("status", NOT_NOW)
async def test_not_now_fails_for_now_while_there_are_retries(status: int) -> None:
    error = await told_to_come_again(status, {})
    assert (error.reason, error.retry_after_seconds) == ("http.status", None)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", NOT_NOW)
async def test_the_last_answer_is_the_value(status: int) -> None:
    plan = a_plan("http", {"url": URL, "retry": RETRY})
    assert plan.retry is not None
    assert plan.retry.max_retries == 2
    value = await value_of(plan, a_step(answering(b'"later"', status=status)))
    assert (value["status"], value["ok"], value["body"]) == (status, False, "later")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 501, 505])
async def test_what_will_be_said_again_is_an_answer(status: int) -> None:
    step = a_step(answering(status=status))
    step.retries_left = 2
    value = await value_of(a_plan("http", {"url": URL, "retry": RETRY}), step)
    assert value["status"] == status


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
async def test_the_service_may_say_when(header: str, seconds: float | None) -> None:
    error = await told_to_come_again(503, {"retry-after": header})
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(("seconds", "expected"), [(90, 90), (-90, 0), (30 * 86_400, 86_400)])
async def test_the_service_may_say_when_by_a_date(seconds: int, expected: int) -> None:
    at_seconds = Stage().clock.now_ms() // 1000 + seconds
    error = await told_to_come_again(429, {"retry-after": formatdate(at_seconds, usegmt=True)})
    assert error.retry_after_seconds == pytest.approx(expected, abs=1)


async def test_a_run_tries_again_and_takes_the_last_answer() -> None:
    """As its walker sees it: pauses as the service says, then the answer, whatever it is."""
    statuses = iter([503, 429, 500])
    service = MemoryHttp(lambda _: HttpResponse(next(statuses), {"retry-after": "40"}, b""))
    yard = Yard(Stage(http=service))
    plan = a_plan("http", {"url": URL, "retry": RETRY})
    flow = a_flow(a_node("call", plan.behaviour, retry=plan.retry, is_journalled=True))
    way = Way(yard.seat(flow), by_name(flow), yard.leases, RunsInHand())
    request = yard.request(flow)
    for attempt in (2, 3):
        _, outcome = await way.resume(request)
        assert outcome == Continued(yard.clock.now_ms() + 40_000, attempt)
        await yard.clock.advance(40)
        (waiting,) = list(yard.stage.continuations.scheduled.values())[-1:]
        delivery = yard.delivered(an_event(f"evt-{attempt}"))
        woken = request_of(waiting, flow, SharedDelivery(delivery, 1))
        assert woken is not None
        request = woken
    run, outcome = await way.resume(request)
    assert isinstance(outcome, Completed)
    assert outcome.output["status"] == 500
    keys = {header(call, "idempotency-key") for _, call in service.calls}
    assert keys == {f"{run.request.run_id}:call:1"}


async def test_too_deep_answer_fails() -> None:
    stage = answering(b"[" * 80 + b"]" * 80)
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("http", {"url": URL}), a_step(stage))
    assert caught.value.reason == "too_large"


async def test_no_answer_passes_through() -> None:
    def fail(_: HttpRequest) -> HttpResponse:
        raise TransientError("no answer", reason="http.timeout")

    with pytest.raises(TransientError):
        await take(a_plan("http", {"url": URL}), a_step(Stage(http=MemoryHttp(fail))))


@pytest.mark.parametrize(
    "config",
    [
        {"url": "{{payload}}"},
        {"url": "https://x", "method": "{{payload}}"},
        {"url": "https://x", "headers": {"A": "{{payload}}"}},
        {"url": "https://x", "query": "{{payload}}"},
        {"url": "https://x", "body": [1], "headers": {"content-type": "{{form}}"}},
    ],
)
@pytest.mark.parametrize("value", ["ftp://x\r\ny", "a\nb", "file:///etc\x00/passwd"])
async def test_what_must_not_go_over_the_wire_is_refused(
    config: dict[str, Any], value: str
) -> None:
    stage = Stage()
    names = {"form": "application/x-www-form-urlencoded"}
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("http", config), a_step(stage, value, names=names))
    assert caught.value.reason == "http.bad_request"
    assert stage.http.calls == []


@pytest.mark.parametrize(
    "url", ["https://", "http:/x", "//x/y", "x", "https://a b", "https://a\\b"]
)
async def test_url_must_be_absolute(url: str) -> None:
    with pytest.raises(PermanentError):
        await take(a_plan("http", {"url": "{{payload}}"}), a_step(Stage(), url))


async def test_query_joins_what_the_url_has_and_fragment_is_dropped() -> None:
    request = await sent({"url": "https://a.test/p?x=1#frag", "query": {"y": "2"}})
    assert request.url == "https://a.test/p?x=1&y=2"


async def test_too_large_body_is_not_sent() -> None:
    stage = Stage()
    plan = a_plan("http", {"url": URL, "method": "PUT", "body": "{{payload}}"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(stage, "x" * 200_000 + "é" * 300_000))
    assert caught.value.reason in {"too_large", "template.limit_data_size"}
    assert stage.http.calls == []


@pytest.mark.parametrize(
    ("config", "path", "code"),
    [
        ({}, ("url",), "flow.missing_key"),
        ({"url": "ftp://x"}, ("url",), "flow.bad_value"),
        ({"url": URL, "method": "BREW"}, ("method",), "flow.bad_value"),
        ({"url": URL, "headers": {"a b": "1"}}, ("headers", "a b"), "flow.bad_value"),
        ({"url": URL, "headers": {"Host": "x"}}, ("headers", "Host"), "flow.bad_value"),
        ({"url": URL, "timeout": 30_001}, ("timeout",), "flow.bad_value"),
        ({"url": URL, "timeout": "1"}, ("timeout",), "flow.bad_value"),
        ({"url": URL, "retry": {"max_retries": 21}}, ("retry", "max_retries"), "flow.bad_value"),
        ({"url": URL, "auth": {"type": "digest"}}, ("auth",), "flow.bad_value"),
        ({"url": URL, "auth": {"type": "basic", "username": "a"}}, ("auth", "password"),
         "flow.missing_key"),
    ],
)  # fmt: skip
def test_wrong_config_is_found(config: dict[str, Any], path: tuple[str, ...], code: str) -> None:
    (finding,) = build_node("http", config).findings
    assert (finding.path, finding.code) == (("config", *path), code)


def test_no_retries_are_fine() -> None:
    assert build_node("http", {"url": URL, "retry": {"max_retries": 0}}).findings == []


async def test_state_in_the_request_is_loaded() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "token", "t-1")
    await take(a_plan("http", {"url": "https://x/{{state.token}}"}), step)
    assert stage.http.calls[0][1].url == "https://x/t-1"


# ── What its record is shown ─────────────────────────────────────────────────────────────────


async def test_its_record_is_shown_the_address_and_no_more() -> None:
    context = a_step(Stage(), {"id": 7})
    url = "https://user:pass@api.test:8443/orders/{{payload.id}}?key=hunter2#top"
    config = {"url": url, "headers": {"X-Key": "hunter2"}, "query": {"q": "hunter2"}, "body": "b"}
    await take(a_plan("http", config), context)
    assert context.given == {"method": "GET", "url": "https://api.test:8443/orders/7"}


@pytest.mark.parametrize(
    "config",
    [
        {"url": URL, "headers": {"X-Key": "{{secrets.KEY}}"}},
        {"url": URL + "/{{secrets.KEY}}"},
        {"url": "https://{{secrets.KEY}}.test/"},
        {"url": URL, "auth": {"type": "bearer", "token": "{{secrets.KEY}}"}},
    ],
)
async def test_nothing_is_shown_of_a_request_that_reads_secrets(config: dict[str, Any]) -> None:
    stage = Stage()
    await stage.secrets.set("demo", "KEY", "hunter2")
    context = a_step(stage)
    await take(a_plan("http", config), context)
    assert context.given is ABSENT
