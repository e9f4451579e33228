"""The API's one route class: who is judged when, what is read, what is refused and how."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Query
from pydantic import Field
from starlette.routing import Mount

from app.errors import ConflictError, NotFoundError
from app.http.api import ROOT, api_document, build_api
from app.http.api_access import ApiAccess
from app.http.api_models import BodyModel, PageQuery, PageView, Text, ViewModel
from app.http.api_places import LARGE_BYTES_MIN, PLACES
from app.http.api_route import (
    ANY_KEY,
    BODY_BYTES_MAX,
    Caller,
    MaybeTenant,
    Operation,
    RawBody,
    Resource,
    Tenant,
    UnfitAnswerError,
)
from app.http.body import DISCARD_BYTES_MAX
from app.http.pages import build_admin_app
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.identity.principal import Principal
from tests.support.bus import DeafObserver
from tests.support.ingress import Client, Reply

SECRET = "hunter2-at-the-wrong-place"
ZIP = "application/zip"
KEYS = {
    "admin": Principal.of("adminkey", "admin", "acme", ["tenant-admin"]),
    "reader": Principal.of("readerky", "reader", "acme", ["tenant-read"]),
    "other": Principal.of("otherkey", "other", "other", ["tenant-admin"]),
    "platform": Principal.of("platform", "platform", None, ["platform-admin"]),
}


class Keys:
    """A ring of four keys."""

    def find(self, token: str) -> Principal | None:
        return KEYS.get(token)


class Part(BodyModel):
    depth: Annotated[int, Field(ge=0)] = 0


class Wanted(BodyModel):
    name: Text
    count: int = 1
    part: Part | None = None


class Thing(ViewModel):
    name: str
    tenant: str | None
    by: str


class Things(PageView):
    things: list[Thing]


class ThingQuery(PageQuery):
    colour: Text | None = None


class Handlers:
    """Operations of every form; ``calls`` counts the handlers that were reached."""

    def __init__(self, access: ApiAccess) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.resource = Resource("things", access)
        root, admin = "/tenants/{tenant}/things", Operation("tenant-admin")
        self.resource.add("GET", root, self.list, Operation("tenant-read"))
        self.resource.add("POST", root, self.add, Operation("tenant-admin", 201, [409]))
        self.resource.add("PUT", root + "/archive", self.archive, Operation(
            "tenant-admin", body_bytes_max=100, body_media=ZIP
        ))  # fmt: skip
        self.resource.add("PUT", root + "/large", self.wait, Operation(
            "tenant-admin", body_bytes_max=LARGE_BYTES_MIN, body_media=ZIP
        ))  # fmt: skip
        self.resource.add("DELETE", root + "/{name}", self.remove, Operation("tenant-admin", 204))
        self.resource.add("GET", root + "/{name}", self.broken, admin)
        self.resource.add("POST", "/things", self.add, Operation("platform-admin", 201),
                          operation_id="platform_things_add")  # fmt: skip
        self.resource.add("GET", "/me", self.me, Operation(ANY_KEY))

    async def list(self, tenant: Tenant, asked: Annotated[ThingQuery, Query()]) -> Things:
        """List them."""
        self.calls += 1
        thing = Thing(name=asked.colour or "", tenant=tenant, by="")
        return Things(things=[thing], next_after=asked.limit)

    async def add(self, caller: Caller, tenant: MaybeTenant, wanted: Wanted) -> Thing:
        """Add one."""
        self.calls += 1
        if wanted.name == "again":
            raise ConflictError("there is one")
        return Thing(name=wanted.name, tenant=tenant, by=caller.actor)

    async def archive(self, body: RawBody) -> ViewModel:
        """Take bytes."""
        self.calls += 1
        assert body.startswith(b"PK")
        return ViewModel()

    async def wait(self, body: RawBody) -> ViewModel:
        """Hold bytes for a while."""
        self.calls += 1
        await self.gate.wait()
        return ViewModel()

    async def remove(self, name: str) -> None:
        """Remove one."""
        self.calls += 1

    async def broken(self, name: str) -> Thing:
        """Answer with what is no thing."""
        if name == "defect":
            raise RuntimeError(SECRET)
        return {"name": SECRET, "by": [SECRET]}  # type: ignore[return-value]

    async def me(self, caller: Caller) -> dict[str, str]:
        """Say who asks."""
        return {"actor": caller.actor}


def an_access() -> ApiAccess:
    observer = DeafObserver()
    return ApiAccess(Authenticator(Keys(), LockOut(lambda: 0.0), observer), observer)


class Api:
    """The admin address with these operations."""

    def __init__(self) -> None:
        access = an_access()
        self.handlers = Handlers(access)
        api = Mount(ROOT, build_api([self.handlers.resource], access))
        self.app = build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])
        self.client = Client(self.app)

    async def ask(
        self, method: str, path: str, body: bytes | None = None, *, key: str | None = "admin",
        query: str = "", media: str | None = None, parts: Any = None, length: int | None = None,
    ) -> Reply:  # fmt: skip
        headers = {} if length is None else {"content-length": str(length)}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if media is not None:
            headers["content-type"] = media
        return await self.client.request(
            method, ROOT + path, headers=headers, query=query.encode(), parts=parts or [body or b""]
        )


THINGS = "/tenants/acme/things"


@pytest.fixture
def api() -> Api:
    return Api()


def refusal(reply: Reply) -> tuple[int, str]:
    assert reply.header("content-type") == "application/problem+json"
    assert reply.header("cache-control") == "no-store"
    assert reply.json["status"] == reply.status
    return reply.status, reply.json["code"]


# ── Who may ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "path", "expected"),
    [
        (None, THINGS, (401, "http.api_key")),
        ("nobody", THINGS, (401, "http.api_key")),
        ("reader", THINGS, (403, "http.forbidden")),
        ("other", THINGS, (403, "http.wrong_tenant")),
        ("admin", "/tenants/other/things", (403, "http.wrong_tenant")),
        ("admin", "/things", (403, "http.forbidden")),
        ("platform", "/tenants/A*/things", (422, "actors.invalid_subject")),
    ],
    ids=str,
)
async def test_the_caller_is_judged_before_anything_is_looked_at(
    api: Api, key: str | None, path: str, expected: tuple[int, str]
) -> None:
    for body in (b'{"name": "x"}', b"no json", b"x" * (BODY_BYTES_MAX + 1)):
        reply = await api.ask("POST", path, body, key=key, query="colour=1&colour=2")
        assert (reply.status, reply.json["code"]) == expected
    assert api.handlers.calls == 0


async def test_a_strangers_large_body_is_not_read(api: Api) -> None:
    parts = [b"x" * 1000] * 5
    reply = await api.ask("POST", THINGS, key=None, parts=parts, length=DISCARD_BYTES_MAX + 1)
    assert refusal(reply) == (401, "http.api_key")
    assert reply.header("connection") == "close"
    assert api.client.messages_read == 0


async def test_any_key_will_do_where_that_is_said(api: Api) -> None:
    for key, principal in KEYS.items():
        assert (await api.ask("GET", "/me", key=key)).json == {"actor": principal.actor}
        document = await api.ask("GET", "/openapi.json", key=key)
        assert document.json["openapi"].startswith("3.1")
    for path in ("/me", "/openapi.json"):
        assert refusal(await api.ask("GET", path, key=None)) == (401, "http.api_key")


async def test_one_handler_serves_a_tenant_and_the_platform(api: Api) -> None:
    of_tenant = await api.ask("POST", THINGS, b'{"name": "x"}')
    assert (of_tenant.status, of_tenant.json) == (
        201, {"name": "x", "tenant": "acme", "by": "key:adminkey"}
    )  # fmt: skip
    of_platform = await api.ask("POST", "/things", b'{"name": "x"}', key="platform")
    assert of_platform.json["tenant"] is None
    assert of_platform.header("cache-control") == "no-store"


async def test_nothing_is_made_for_a_tenant_that_there_is_not(api: Api) -> None:
    async def check(tenant: str) -> None:
        if tenant != "acme":
            raise NotFoundError(f"there is no tenant {tenant!r}")

    access = replace(an_access(), check_living=check)
    handlers = Handlers(access)
    client = Client(build_admin_app(
        lambda: (), lambda: (b"", "text/plain"), [Mount(ROOT, build_api([handlers.resource], access))]
    ))  # fmt: skip
    body, headers = [b'{"name": "x"}'], {"authorization": "Bearer platform"}
    for method, tenant, status in (
        ("POST", "acme", 201), ("POST", "gone", 404), ("GET", "gone", 200), ("DELETE", "gone", 204)
    ):  # fmt: skip
        path = f"{ROOT}/tenants/{tenant}/things" + ("/x" if method == "DELETE" else "")
        reply = await client.request(method, path, headers=headers, parts=list(body))
        assert reply.status == status, (method, tenant)
    other = await client.request(
        "POST", f"{ROOT}/tenants/gone/things", headers={"authorization": "Bearer admin"}, parts=body
    )
    assert other.status == 403, "a stranger does not learn which tenants there are"
    assert handlers.calls == 3


# ── What is read ─────────────────────────────────────────────────────────────────────────────


async def test_a_body_that_is_too_large_is_refused_by_its_length_unread(api: Api) -> None:
    for length in (BODY_BYTES_MAX + 1, DISCARD_BYTES_MAX + 1):
        reply = await api.ask("POST", THINGS, b"{}", length=length)
        assert refusal(reply) == (413, "http.body_too_large")
    assert api.client.messages_read == 1, "the shorter one is read away, so that the client hears"


async def test_a_body_without_a_length_is_refused_as_soon_as_it_is_too_large(api: Api) -> None:
    parts = [b" " * 16384] * 200
    reply = await api.ask("POST", THINGS, parts=parts)
    assert refusal(reply) == (413, "http.body_too_large")
    assert reply.header("connection") == "close"
    assert api.client.messages_read * 16384 <= DISCARD_BYTES_MAX + BODY_BYTES_MAX + 2 * 16384
    exact = b'{"name": "x"}'.ljust(BODY_BYTES_MAX)
    assert (await api.ask("POST", THINGS, exact)).status == 201


async def test_an_operation_has_a_limit_and_a_media_type_of_its_own(api: Api) -> None:
    path = f"{THINGS}/archive"
    assert (await api.ask("PUT", path, b"PK" + b"x" * 98, media=ZIP)).status == 200
    for body, media, status in ((b"PK".ljust(101), ZIP, 413), (b"PK", "application/json", 415)):
        assert refusal(await api.ask("PUT", path, body, media=media))[0] == status
    assert api.handlers.calls == 1


async def test_few_large_bodies_are_held_at_once_and_fewer_of_a_tenant(api: Api) -> None:
    callers = [("acme", "admin")] * 3 + [("other", "other")] * 2
    callers += [(f"t{number}", "platform") for number in range(PLACES - 4 + 1)]
    opened = [
        asyncio.create_task(api.ask("PUT", f"/tenants/{tenant}/things/large", key=key, media=ZIP))
        for tenant, key in callers
    ]
    async with asyncio.timeout(5):
        while api.handlers.calls + sum(each.done() for each in opened) < len(opened):
            await asyncio.sleep(0.001)
    refused = [each.result() for each in opened if each.done()]
    assert [refusal(each) for each in refused] == [(503, "http.overloaded")] * 2
    assert all(each.header("retry-after") == "2" for each in refused)
    assert api.handlers.calls == PLACES
    api.handlers.gate.set()
    statuses = [(await each).status for each in opened]
    assert statuses == [200, 200, 503, 200, 200, *[200] * (PLACES - 4), 503]
    again = await api.ask("PUT", f"{THINGS}/large", media=ZIP)
    assert again.status == 200


@pytest.mark.parametrize(
    ("media", "status"),
    [
        (None, 201), ("application/json", 201), ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201), ("application/x-www-form-urlencoded", 201),
        ("application/merge-patch+json", 201), ("text/plain", 415), ("multipart/form-data", 415),
    ],
    ids=str,
)  # fmt: skip
async def test_json_is_taken_whatever_curl_calls_it(
    api: Api, media: str | None, status: int
) -> None:
    assert (await api.ask("POST", THINGS, b'{"name": "x"}', media=media)).status == status


@pytest.mark.parametrize(
    "body",
    [b"", b"no", b"[]", b'"x"', b"1", b"null", b'{"name": 1}', b'{"name": ""}', b'{"name": null}',
     b'{"name": "x", "count": "1"}', b'{"name": "x", "count": 1.5}', b'{"name": "x", "count": true}',
     b'{"name": "x", "more": 1}', b'{"name": "x", "part": {"more": 1}}', b'{"name": "x", "count": NaN}',
     b'{"name": "x", "part": {"depth": -1}}', b"[" * 50_000, b'{"name": "\xff"}', b'{"name": "\\ud800"}',
     b'{"name": "' + b"x" * 257 + b'"}', b'{"name": "x"} {}'],
    ids=lambda body: body[:40].decode("latin-1"),
)  # fmt: skip
async def test_a_body_is_what_its_model_says(api: Api, body: bytes) -> None:
    reply = await api.ask("POST", THINGS, body, media="application/json")
    assert refusal(reply) == (400, "http.bad_request")
    assert api.handlers.calls == 0


async def test_places_are_told_and_values_are_not(api: Api) -> None:
    body = msgspec.json.encode(
        {"name": [SECRET], "count": SECRET, "part": {"depth": SECRET}, SECRET: 1}
    )
    reply = await api.ask("POST", THINGS, body)
    places = {each["place"]: each["message"] for each in reply.json["errors"]}
    assert set(places) >= {"body.name", "body.count", "body.part.depth"}
    assert all(SECRET not in message for message in places.values())
    assert reply.body.count(SECRET.encode()) <= 1, "the name of a field that there is not"
    for query in (f"limit={SECRET}", f"after={SECRET * 20}", f"colour=a&limit={SECRET}"):
        reply = await api.ask("GET", THINGS, query=query)
        assert refusal(reply) == (400, "http.bad_request")
        assert SECRET.encode() not in reply.body


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=", "more=1", "colour=", "limit=1&limit=1"]
)
async def test_wrong_parameters_are_refused(api: Api, query: str) -> None:
    assert refusal(await api.ask("GET", THINGS, query=query)) == (400, "http.bad_request")
    assert refusal(await api.ask("GET", "/me", query=query)) == (400, "http.bad_request")


async def test_right_parameters_arrive(api: Api) -> None:
    reply = await api.ask("GET", THINGS, query="limit=7&colour=r%C3%A9d")
    assert (reply.json["things"][0]["name"], reply.json["next_after"]) == ("r\u00e9d", 7)


# ── Answers ──────────────────────────────────────────────────────────────────────────────────


async def test_what_a_handler_refuses_is_a_problem(api: Api) -> None:
    assert refusal(await api.ask("POST", THINGS, b'{"name": "again"}')) == (409, "store.conflict")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/tenants/acme/things/", "/docs", "/redoc"])
async def test_an_unknown_path_is_a_404_problem(api: Api, path: str) -> None:
    assert refusal(await api.ask("GET", path))[0] == 404


async def test_a_wrong_method_is_a_405_that_names_all_right_ones(api: Api) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        reply = await api.ask(method, THINGS)
        assert refusal(reply) == (405, "http.method_not_allowed")
        assert reply.header("allow") == "GET, HEAD, OPTIONS, POST"
    reply = await api.ask("HEAD", "/things", key="platform")
    assert (reply.status, reply.body) == (405, b"")


async def test_options_says_what_a_path_takes(api: Api) -> None:
    reply = await api.ask("OPTIONS", f"{THINGS}/one", key=None)
    assert (reply.status, reply.header("allow")) == (204, "DELETE, GET, HEAD, OPTIONS")
    assert (await api.ask("OPTIONS", "/nothing", key=None)).status == 404


async def test_head_is_get_without_its_body(api: Api) -> None:
    whole, head = await api.ask("GET", THINGS), await api.ask("HEAD", THINGS)
    assert (head.status, head.body) == (200, b"")
    assert head.header("content-length") == str(len(whole.body))
    assert (await api.ask("HEAD", THINGS, key=None)).status == 401


async def test_nothing_to_say_is_said_without_a_body(api: Api) -> None:
    reply = await api.ask("DELETE", f"{THINGS}/one")
    assert (reply.status, reply.body, reply.header("cache-control")) == (204, b"", "no-store")


async def test_a_defect_is_a_500_that_tells_nothing(api: Api) -> None:
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
    headers = {"authorization": "Bearer admin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for name in ("defect", "unfit"):
            reply = await client.get(f"{ROOT}{THINGS}/{name}", headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (500, "http.internal")
            assert SECRET not in reply.text


async def test_an_answer_that_does_not_fit_is_told_without_its_values(api: Api) -> None:
    with pytest.raises(UnfitAnswerError) as caught:
        await api.ask("GET", f"{THINGS}/unfit")
    assert "things_broken: response.tenant missing; response.by string_type" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


# ── The document ─────────────────────────────────────────────────────────────────────────────


def test_every_operation_says_its_scope_its_refusals_and_that_it_needs_a_key() -> None:
    access = an_access()
    document = api_document([Handlers(access).resource], access)
    assert document["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"
    operations = {
        each["operationId"]: (path, each)
        for path, methods in document["paths"].items()
        for each in methods.values()
    }
    assert set(operations) == {
        "things_list", "things_add", "things_archive", "things_wait", "things_remove", "things_broken",
        "platform_things_add", "things_me", "document_openapi",
    }  # fmt: skip
    for path, operation in operations.values():
        assert operation["security"] == [{"Bearer": []}]
        assert operation["x-scope"] in operation["description"].replace("any key", "any")
        refusals = {s: r for s, r in operation["responses"].items() if s >= "400"}
        assert set(refusals) >= {"400", "401", "403", "422", "429", "503"}
        assert ("404" in refusals) == ("{" in path)
        for response in refusals.values():
            (media,) = response["content"]
            assert media == "application/problem+json"
        names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        assert sorted(names) == sorted(part.strip("{}") for part in path.split("/") if "{" in part)
    assert operations["things_list"][1]["x-scope"] == "tenant-read"
    (after,) = [
        each for each in operations["things_list"][1]["parameters"] if each["name"] == "after"
    ]
    assert "`next_after`" in after["description"]
    problem = document["components"]["schemas"]["ProblemView"]["properties"]
    assert "docs/errors.md" in problem["code"]["description"]
    assert "409" in operations["things_add"][1]["responses"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    body = operations["things_archive"][1]["requestBody"]
    assert list(body["content"]) == [ZIP]


def test_two_operations_of_one_name_are_refused() -> None:
    access = an_access()
    resources = [Handlers(access).resource, Handlers(access).resource]
    with pytest.raises(ValueError, match="two operations of the API are called"):
        build_api(resources, access)
