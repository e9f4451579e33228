"""Secrets reach the outbound call of a step, and nothing else (SPEC 5)."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from actors.errors import NodeError, PermanentError, TransientError, UnavailableError
from actors.nodes.redaction import MASK
from actors.nodes.secret_access import SECRETS_MAX, UsedSecrets
from actors.ports import ActionRequest, HttpRequest, HttpResponse
from actors.testing.actions import MemoryActions
from actors.testing.http import MemoryHttp
from actors.testing.secrets import MemorySecrets
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of

URL = "https://api.example.com/v1"
CANARY = 'canary "7f3a"/ü&+'
ASCII = "canary-7f3a-9c"


def a_stage(respond: Callable[[HttpRequest], HttpResponse] | None = None, **values: str) -> Stage:
    secrets = MemorySecrets({("demo", name): value for name, value in values.items()})
    return Stage(http=MemoryHttp(respond), secrets=secrets)


async def failure(stage: Stage, **config: Any) -> NodeError:
    context = a_step(stage)
    with pytest.raises(NodeError) as caught:
        await take(a_plan("http", {"url": URL, **config}), context)
    assert "secrets" not in context.scope
    return caught.value


async def test_secret_goes_into_every_part_of_a_request() -> None:
    stage = a_stage(TOKEN=ASCII)
    plan = a_plan(
        "http",
        {
            "url": URL + "/{{secrets.TOKEN}}",
            "method": "POST",
            "query": {"key": "{{secrets.TOKEN}}"},
            "headers": {"X-Key": "v1 {{secrets.TOKEN}}"},
            "body": {"nested": ["{{secrets.TOKEN}}"]},
            "auth": {"type": "basic", "username": "u", "password": "{{secrets.TOKEN}}"},
        },
    )
    await take(plan, a_step(stage))
    [(_, request)] = stage.http.calls
    assert request.url == f"{URL}/{ASCII}?key={ASCII}"
    headers = dict(request.headers)
    assert headers["X-Key"] == f"v1 {ASCII}"
    assert headers["Authorization"] == "Basic " + base64.b64encode(f"u:{ASCII}".encode()).decode()
    assert request.body == f'{{"nested":["{ASCII}"]}}'.encode()
    assert stage.secrets.asked == [("demo", "TOKEN")]


async def test_secret_is_read_at_each_call_and_from_the_own_tenant() -> None:
    stage = a_stage(TOKEN="first-value")
    await stage.secrets.set("other", "TOKEN", "of-another")
    plan = a_plan("http", {"url": URL, "auth": {"type": "bearer", "token": "{{secrets.TOKEN}}"}})
    await take(plan, a_step(stage))
    await stage.secrets.set("demo", "TOKEN", "second-value")
    await take(plan, a_step(stage))
    sent = [dict(request.headers)["Authorization"] for _, request in stage.http.calls]
    assert sent == ["Bearer first-value", "Bearer second-value"]


async def test_scope_knows_no_secrets_after_the_step() -> None:
    stage = a_stage(TOKEN=ASCII)
    context = a_step(stage, {"a": 1})
    await take(a_plan("http", {"url": URL, "body": "{{secrets.TOKEN}}"}), context)
    assert "secrets" not in context.scope
    assert ASCII not in repr(dict(context.scope))


async def test_state_and_secrets_in_one_config() -> None:
    stage = a_stage(TOKEN=ASCII)
    context = a_step(stage)
    await stage.state.put(context.state_scope, "n", "seven")
    await take(a_plan("http", {"url": URL, "body": "{{state.n}} {{secrets.TOKEN}}"}), context)
    [(_, request)] = stage.http.calls
    assert request.body == f"seven {ASCII}".encode()


async def test_missing_secret_is_named_with_the_command_that_sets_it() -> None:
    error = await failure(a_stage(), body="{{secrets.API_KEY}}")
    assert isinstance(error, PermanentError)
    assert error.reason == "secret.missing"
    assert "greentic-events secret set demo API_KEY" in str(error)


async def test_name_that_is_none_fails_the_step() -> None:
    assert (await failure(a_stage(), body="{{secrets.[a b]}}")).reason == "secret.name"


async def test_store_that_does_not_answer_is_transient() -> None:
    class Away(MemorySecrets):
        async def get(self, tenant: str, name: str) -> str | None:
            raise UnavailableError("the bus is away")

    stage = Stage(secrets=Away())
    assert isinstance(await failure(stage, body="{{secrets.A}}"), UnavailableError)


@pytest.mark.parametrize(
    "body",
    ["{{secrets}}", "{{json secrets}}", "{{#each secrets}}{{this}}{{/each}}", {"a": "{{secrets}}"}],
)
async def test_secrets_as_a_whole_are_not_to_be_had(body: Any) -> None:
    stage = a_stage(TOKEN=ASCII)
    error = await failure(stage, body=body)
    assert ASCII not in str(error)
    assert stage.http.calls == []


async def test_too_many_secrets_in_a_step_are_refused() -> None:
    names = [f"S{number}" for number in range(SECRETS_MAX + 1)]
    stage = a_stage(None, **dict.fromkeys(names, ASCII))
    body = " ".join(f"{{{{secrets.{name}}}}}" for name in names)
    assert (await failure(stage, body=body)).reason == "secret.limit"


# ── Nothing else may know ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"method": "{{secrets.T}}"}, "http.bad_request"),
        ({"url": "{{secrets.T}}"}, "http.bad_request"),
        ({"headers": {"A": "x\n{{secrets.T}}"}}, "http.bad_request"),
        ({"body": "{{formatDate secrets.T 'YYYY'}}"}, "template.type_mismatch"),
    ],
)
async def test_error_of_building_does_not_quote_it(config: dict[str, Any], reason: str) -> None:
    error = await failure(a_stage(T=f"{CANARY}\n"), **config)
    assert "canary" not in str(error)
    assert error.__cause__ is None
    assert error.reason == reason


@pytest.mark.parametrize("kind", [TransientError, PermanentError, UnavailableError])
async def test_error_of_the_call_keeps_its_kind_and_loses_the_value(kind: type[NodeError]) -> None:
    def fail(request: HttpRequest) -> HttpResponse:
        raise kind(f"cannot reach {request.url} with {CANARY!r}")

    stage = a_stage(fail, T=CANARY)
    error = await failure(stage, query={"k": "{{secrets.T}}"})
    assert type(error) is kind
    assert "canary" not in str(error)
    assert MASK in str(error)
    assert "cannot reach" in str(error)
    assert "canary" not in repr(error.__cause__)


async def test_hint_when_to_come_again_is_kept() -> None:
    def fail(_: HttpRequest) -> HttpResponse:
        raise TransientError("busy", reason="http.busy", retry_after_seconds=7)

    error = await failure(a_stage(fail, T=ASCII), body="{{secrets.T}}")
    assert isinstance(error, TransientError)
    assert (error.reason, error.retry_after_seconds) == ("http.busy", 7)


async def test_service_that_repeats_its_request_gives_nothing_away() -> None:
    def echo(request: HttpRequest) -> HttpResponse:
        headers = {"content-type": "application/json", "location": request.url}
        body = b'{"you_sent":' + (request.body or b"") + b',"' + ASCII.encode() + b'":1}'
        return HttpResponse(200, headers, body)

    stage = a_stage(echo, T=ASCII)
    plan = a_plan("http", {"url": URL + "/{{secrets.T}}", "body": {"k": ["{{secrets.T}}"]}})
    value = await value_of(plan, a_step(stage))
    assert ASCII not in repr(value)
    assert value["body"]["you_sent"] == {"k": [MASK]}
    assert value["headers"]["location"] == f"{URL}/{MASK}"


@pytest.mark.parametrize(
    ("url", "is_hidden"),
    [(URL + "/{{secrets.T}}", False), ("http://{{secrets.T}}.example/", True), (URL, False)],
)
async def test_call_says_whether_its_host_is_secret(url: str, is_hidden: bool) -> None:
    stage = a_stage(T=ASCII.lower())
    await take(a_plan("http", {"url": url, "body": "{{secrets.T}}"}), a_step(stage))
    [(_, call)] = stage.http.calls
    assert call.hides_host == is_hidden


async def test_basic_credentials_that_come_back_are_masked_however_short_they_are() -> None:
    def echo(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, dict(request.headers)["Authorization"].encode())

    auth = {"type": "basic", "username": "u", "password": "{{secrets.PIN}}"}
    plan = a_plan("http", {"url": URL, "auth": auth})
    assert (await value_of(plan, a_step(a_stage(echo, PIN="1234"))))["body"] == f"Basic {MASK}"


async def test_answers_are_untouched_where_no_secret_was_used() -> None:
    stage = a_stage(lambda _: HttpResponse(200, {}, ASCII.encode()), T=ASCII)
    assert (await value_of(a_plan("http", {"url": URL}), a_step(stage)))["body"] == ASCII


def test_short_values_are_taken_out_of_errors_and_left_in_answers() -> None:
    used = UsedSecrets({"PIN": "12"})
    assert used.redact("port 12 refused") == f"port {MASK} refused"
    assert used.mask({"count": "12"}) == {"count": "12"}
    padded = UsedSecrets({"PIN": "1          "})
    assert padded.mask({"count": "12"}) == {"count": "12"}


def test_longer_of_two_overlapping_values_goes_first() -> None:
    used = UsedSecrets({"A": "abcdefgh", "B": "abcdefghijkl"})
    assert used.redact("abcdefghijkl") == MASK


def test_values_are_not_shown() -> None:
    assert ASCII not in repr(UsedSecrets({"T": ASCII}))


# ── Where they may be read ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("node_type", "config"),
    [
        ("script", {"script": "secrets.K"}),
        ("branch", {"conditions": [{"expression": 'secrets.K == "a"', "next": "done"}]}),
        ("log", {"message": "{{secrets.K}}"}),
        ("error", {"message": "{{secrets.K}}"}),
        ("template", {"template": "{{secrets.K}}"}),
        ("event", {"event_type": "a.b", "payload": "{{secrets.K}}"}),
        ("http_response", {"body": "{{secrets.K}}"}),
        ("state", {"action": "set", "key": "k", "value": "{{secrets.K}}"}),
        ("async", {"flow": "f", "payload": "{{secrets.K}}"}),
        ("flow2flow", {"target_flow": "f", "input": {"k": "{{secrets.K}}"}}),
    ],
)
def test_other_nodes_are_refused_them(node_type: str, config: dict[str, Any]) -> None:
    assert "flow.secret_here" in build_node(node_type, config).codes


async def test_provider_action_gets_them_in_its_arguments() -> None:
    stage = a_stage(TO="+15550001111")
    config = {"provider": "events-sms-twilio", "action": "send", "to": "{{secrets.TO}}"}
    await take(a_plan("event", config), a_step(stage))
    assert isinstance(stage.actions, MemoryActions)
    [request] = stage.actions.requests
    assert request.arguments["to"] == "+15550001111"


async def test_provider_that_repeats_its_arguments_gives_nothing_away() -> None:
    def repeat(request: ActionRequest) -> Mapping[str, Any]:
        return {"sent": dict(request.arguments)}

    def refuse(request: ActionRequest) -> Mapping[str, Any]:
        raise PermanentError(f"bad argument {request.arguments}", reason="action.bad_argument")

    config = {"provider": "events-sms-twilio", "action": "send", "body": "{{secrets.T}}"}
    stage = a_stage(T=ASCII)
    stage.actions = MemoryActions(repeat)
    assert await value_of(a_plan("event", config), a_step(stage)) == {"sent": {"body": MASK}}
    stage.actions = MemoryActions(refuse)
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("event", config), a_step(stage))
    assert caught.value.reason == "action.bad_argument"
    assert ASCII not in str(caught.value)
