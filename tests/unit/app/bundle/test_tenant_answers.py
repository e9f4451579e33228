"""Tenants of one bundle need not share keys."""

import json
from typing import Any

import pytest

from app.bundle.document import Document
from app.bundle.files import MemoryFiles
from app.bundle.json_document import read_json
from app.bundle.reading import inspect_bundle, read_bundle, referenced_secrets
from app.bundle.tenant_answers import lay_over
from app.providers.timer.options import TimerOptions
from app.providers.webhook.options import WebhookOptions
from app.stores.secrets import StoredSecret

WEBHOOK = "events-webhook"
MANIFEST = 'name: shop\nversion: "1"\n'
TENANTS = MANIFEST + "tenants: {acme: {}, bolt: {}, cube: {}}\n"
COMMON = {WEBHOOK: {"secret_header": "x-sig", "secret_key": "common", "sync_timeout_ms": 7}}


def bundle(answers: Any, manifest: str = TENANTS, **tenants: Any) -> MemoryFiles:
    texts = {"greentic.demo.yaml": manifest, "answers.json": json.dumps(answers)}
    texts |= {f"tenants/{name}/answers.json": json.dumps(own) for name, own in tenants.items()}
    return MemoryFiles({name: text.encode() for name, text in texts.items()})


def key_of(options: Any) -> str:
    webhook = options[WEBHOOK]
    assert isinstance(webhook, WebhookOptions)
    assert webhook.secret_key is not None
    return webhook.secret_key.get_secret_value()


def codes(files: MemoryFiles, **how: Any) -> list[tuple[str, str]]:
    return [(item.code, item.file) for item in inspect_bundle(files, **how).problems]


def test_each_tenant_has_its_own_options_over_the_common_ones() -> None:
    read = read_bundle(bundle(COMMON, acme={WEBHOOK: {"secret_key": "acme's"}}))
    assert key_of(read.options_of("acme")) == "acme's"
    assert key_of(read.options_of("bolt")) == "common"
    assert key_of(read.options) == "common"
    webhook = read.options_of("acme")[WEBHOOK]
    assert isinstance(webhook, WebhookOptions)
    assert (webhook.secret_header, webhook.sync_timeout_ms) == ("x-sig", 7)
    assert read.options_of("stranger") == {}


def test_read_for_one_tenant_a_bundle_has_that_tenants_options() -> None:
    files = bundle(COMMON, acme={WEBHOOK: {"secret_key": "acme's"}})
    acme, bolt = read_bundle(files, tenant="acme"), read_bundle(files, tenant="bolt")
    assert key_of(acme.options) == key_of(acme.options_of("acme")) == "acme's"
    assert key_of(bolt.options) == "common"
    assert acme.webhook == acme.options[WEBHOOK]


def test_the_common_answers_may_lack_what_each_tenant_adds() -> None:
    common = {WEBHOOK: {"secret_header": "x-sig"}}
    own = {WEBHOOK: {"secret_key": "own"}}
    complete = bundle(common, acme=own, bolt=own, cube=own)
    assert key_of(read_bundle(complete).options_of("cube")) == "own"
    lacking = bundle(common, acme=own, bolt=own)
    assert codes(lacking) == [("bundle.value", "answers.json")]
    assert codes(lacking, tenant="bolt") == []
    assert codes(lacking, tenant="cube") == [("bundle.value", "answers.json")]


def test_a_problem_is_told_where_it_stands() -> None:
    files = bundle(COMMON, acme={WEBHOOK: {"sync_timeout_ms": "soon"}})
    assert codes(files) == [("bundle.value", "tenants/acme/answers.json")]
    files = bundle({WEBHOOK: {"sync_timeout_ms": "soon"}}, acme={WEBHOOK: {"secret_key": "x"}})
    assert ("bundle.value", "answers.json") in codes(files, tenant="acme")
    files = bundle({}, acme={"events-webhok": {}})
    assert codes(files) == [("bundle.unsupported", "tenants/acme/answers.json")]


@pytest.mark.parametrize("content", ["[]", "{", "5"], ids=["list", "cut", "number"])
def test_wrong_answers_of_a_tenant_refuse_the_bundle(content: str) -> None:
    texts = {"greentic.demo.yaml": TENANTS, "tenants/acme/answers.json": content}
    files = MemoryFiles({name: text.encode() for name, text in texts.items()})
    inspection = inspect_bundle(files)
    assert inspection.bundle is None
    assert {item.file for item in inspection.problems} == {"tenants/acme/answers.json"}


def test_answers_twice_are_refused() -> None:
    contents = dict(bundle(COMMON, acme={}).contents) | {"tenants/acme/answers.yaml": b"{}"}
    assert codes(MemoryFiles(contents)) == [("bundle.answers_twice", "tenants/acme/answers.json")]


def test_answers_of_a_tenant_that_is_not_listed_are_refused() -> None:
    files = bundle(COMMON, acmee={WEBHOOK: {"secret_key": "acme's"}})
    inspection = inspect_bundle(files)
    assert inspection.bundle is None
    (problem,) = inspection.problems
    assert (problem.code, problem.file) == ("bundle.tenant_unknown", "tenants/acmee/")
    assert "acme" in str(problem.hint)


def test_a_bundle_that_lists_no_tenants_may_have_answers_of_any() -> None:
    files = bundle(COMMON, MANIFEST, acme={WEBHOOK: {"secret_key": "acme's"}})
    assert key_of(read_bundle(files).options_of("demo")) == "common"
    assert key_of(read_bundle(files, tenant="acme").options) == "acme's"


def test_a_tenant_may_switch_a_provider_off_or_set_its_zone() -> None:
    common = {"events-timer": {"timezone": "Asia/Tokyo"}, WEBHOOK: {}}
    zone, off = {"events-timer": {"timezone": "Europe/Oslo"}}, {"events-timer": {"enabled": False}}
    read = read_bundle(bundle(common, acme=zone, bolt=off))
    timer = read.options_of("acme")["events-timer"]
    assert isinstance(timer, TimerOptions)
    assert timer.timezone == "Europe/Oslo"
    zones = {name: tenant.timezone for name, tenant in read.tenants.items()}
    assert zones == {"acme": "Europe/Oslo", "bolt": "UTC", "cube": "Asia/Tokyo"}
    assert "events-timer" not in read.options_of("bolt")


def test_timers_are_said_not_to_fire_only_where_they_do_not() -> None:
    flow = (
        'name: tick\nversion: "1"\ntriggers: [{type: timer, cron: "0 * * * *", target: say}]\n'
        "nodes: [{id: say, type: log, config: {message: hello}}]\n"
    )
    common: dict[str, Any] = {"events-timer": {}, WEBHOOK: {}}
    off = {"events-timer": {"enabled": False}}
    files = bundle(common, bolt=off)
    files = MemoryFiles(dict(files.contents) | {"flows/tick.ygtc": flow.encode()})
    assert codes(files, tenant="acme") == []
    assert codes(files, tenant="bolt") == [("bundle.timer_off", "flows/tick.ygtc")]
    assert codes(files) == [("bundle.timer_off", "flows/tick.ygtc")]


def test_secrets_are_those_of_the_tenant_that_is_read() -> None:
    own = {WEBHOOK: {"secret_key": {"$secret": "tenants.acme.events-webhook.secret_key"}}}
    common = {WEBHOOK: {"secret_header": "h", "secret_key": {"$secret": "shared"}}}
    files = bundle(common, acme=own)
    name = "tenants.acme.events-webhook.secret_key"
    assert referenced_secrets(files) == {"shared", name}
    assert referenced_secrets(files, "acme") == {name}
    assert referenced_secrets(files, "bolt") == {"shared"}
    read = read_bundle(files, tenant="acme", secrets={name: StoredSecret("s", 4)})
    assert key_of(read.options) == "s"
    assert codes(files, secrets={}, tenant="acme") == [
        ("bundle.secret_missing", "tenants/acme/answers.json")
    ]


def test_a_tenants_variables_are_those_of_the_caller_too() -> None:
    files = bundle(COMMON, acme={WEBHOOK: {"secret_key": "$KEY"}})
    read = read_bundle(files, environment={"KEY": "k"})
    assert key_of(read.options_of("acme")) == "k"
    assert codes(files) == [("bundle.unexpanded", "tenants/acme/answers.json")]
    assert codes(files, tenant="bolt") == []


REF, OTHER = {"$secret": "a"}, {"$secret": "b"}


@pytest.mark.parametrize(
    ("under", "over", "merged"),
    [
        ({"p": {"a": 1, "b": 2}}, {"p": {"b": 3}}, {"p": {"a": 1, "b": 3}}),
        ({"p": {"a": 1, "b": 2}}, {"p": {"b": None}}, {"p": {"a": 1}}),
        ({"p": {"l": [1, 2]}}, {"p": {"l": [3]}}, {"p": {"l": [3]}}),
        ({"p": {"s": {"x": {"k": 1}}}}, {"p": {"s": {"y": 2}}}, {"p": {"s": {"x": {"k": 1}, "y": 2}}}),
        ({"p": {"s": REF}}, {"p": {"s": OTHER}}, {"p": {"s": OTHER}}),
        ({"p": {"s": REF}}, {"p": {"s": {"a": 1}}}, {"p": {"s": {"a": 1}}}),
        ({"p": {"s": {"a": 1}}}, {"p": {"s": REF}}, {"p": {"s": REF}}),
        ({"p": {"s": REF}}, {"p": {"s": "text"}}, {"p": {"s": "text"}}),
        ({"p": {"i": False}}, {"p": {"i": {"token": "t"}}}, {"p": {"i": {"token": "t"}}}),
        ({"p": {"a": 1}}, {"q": {}}, {"p": {"a": 1}, "q": {}}),
        ({"p": {"a": 1}}, {"p": None}, {}),
        (None, {"p": {}}, {"p": {}}),
        ({"p": {}}, None, {"p": {}}),
    ],
    ids=str,
)  # fmt: skip
def test_how_answers_are_laid_over_others(under: Any, over: Any, merged: Any) -> None:
    before = json.dumps(under)
    documents: list[Document] = [read_json(json.dumps(each), "x.json") for each in (under, over)]
    assert lay_over(*documents).data == merged
    assert json.dumps(documents[0].data) == before
