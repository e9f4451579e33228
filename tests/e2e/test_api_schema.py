"""The API does what its OpenAPI document says, and nothing for whom it is not meant.

Schemathesis makes requests from the document of a running program, right ones and wrong ones, and
sends them with each key. Every operation that is in the document is tried; a new one needs no line
here. Path parameters are filled with names of things that are there, as far as a listing above them
tells any, and with made-up ones.

`GREENTIC_SCHEMA_EXAMPLES=200` asks for that many requests of each sort instead of a few.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as conformance

from app.bundle.archive import pack_bundle
from tests.support.api_estate import NOBODY, OTHER, OWN, SPARE, Estate, Key, an_estate

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("api_schema"),
]

EXAMPLES = int(os.environ.get("GREENTIC_SCHEMA_EXAMPLES", "8"))
ANSWER_SECONDS_MAX = 30
ZIP = "application/zip"
NAMES_MAX = 5
SCOPES = {
    "any",
    "platform-admin",
    "tenant-admin",
    "tenant-operator",
    "tenant-publish",
    "tenant-read",
}
REFUSALS = ["400", "401", "403", "404", "409", "412", "413", "415", "422", "429"]
"""Of what a request must not say, or not there; who may ask is judged apart."""
CHECKS: list[Any] = [
    not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.response_schema_conformance,
    conformance.negative_data_rejection,
    conformance.allow_header_conformance,
    conformance.unsupported_method,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def estate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Estate]:
    async with an_estate(tmp_path_factory.mktemp("schema")) as estate:
        yield estate


@pytest.fixture(scope="module")
def made(estate: Estate) -> "Requests":
    archive = pack_bundle(estate.bundle).content
    schemathesis.openapi.media_type(ZIP, st.sampled_from([archive, archive[:-9], b"PK", b""]))
    return Requests(estate.document)


@dataclass
class Findings:
    """All that is wrong, told at the end: one finding must not hide the others."""

    found: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, operation: str, text: str) -> None:
        self.found.setdefault(f"{operation} with {key}", text[:1500])

    def check(self) -> None:
        told = "\n\n".join(f"{where}:\n{text}" for where, text in self.found.items())
        assert not self.found, f"{len(self.found)} findings\n\n{told}"


class Requests:
    """Requests to every operation, right ones and wrong ones, made once for all keys."""

    def __init__(self, document: dict[str, Any]) -> None:
        schema = schemathesis.openapi.from_dict(document)
        schema.config.generation.update(with_security_parameters=False)
        schema.config.checks.negative_data_rejection.expected_statuses = REFUSALS
        found: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
        self.operations = sorted(found, key=_order)
        self._cases = {
            each.label: [
                case
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
                for case in _draw(each.as_strategy(generation_mode=mode))
            ]
            for each in self.operations
        }

    def of(self, operation: Any) -> list[Any]:
        return self._cases[operation.label]


def _order(operation: Any) -> tuple[int, int]:
    """Read what there is before it is changed; remove it at the end, parts before the whole."""
    depth = operation.path.count("/")
    return {"get": (0, depth), "delete": (2, -depth)}.get(operation.method, (1, depth))


def _draw(cases: Any) -> list[Any]:
    drawn: list[Any] = []

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=cases)
    def draw(case: Any) -> None:
        drawn.append(case)

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with some operations
        draw()
    return drawn


class Caller:
    """Sends requests as one key to the operations of one tenant."""

    def __init__(
        self, estate: Estate, name: str, tenant: str, findings: Findings, session: requests.Session
    ) -> None:
        self.name = f"{name} on {tenant}"
        self.key: Key = estate.keys[name]
        self.tenant = tenant
        self.answered: dict[str, set[int]] = {}
        """Statuses by operation."""
        self.allowed: set[str] = set()
        self._estate = estate
        self._findings = findings
        self._session = session
        self._own = {key.text[4:12] for key in estate.keys.values() if key.text}

    def try_all(self, made: Requests) -> None:
        """Ask every operation, rightly and wrongly; fewer times where it is refused anyway."""
        for operation in made.operations:
            is_allowed = self.key.may(operation.definition.raw["x-scope"], self._place(operation))
            if is_allowed:
                self.allowed.add(operation.label)
            cases = made.of(operation)
            there = self._names_for(operation.path) if is_allowed else {}
            for number, case in enumerate(cases if is_allowed else cases[:: EXAMPLES // 2]):
                names = {name: each[number % len(each)] for name, each in there.items()}
                # Every third request names what the generator made up.
                self._fill(case, {} if number % 3 == 2 else names)
                self._send(operation, case)

    def _place(self, operation: Any) -> str | None:
        return self.tenant if "{tenant}" in operation.path else None

    def _fill(self, case: Any, names: Mapping[str, str]) -> None:
        if self._place(case.operation) is not None:
            names = {**names, "tenant": self.tenant}
        quoted = {name: quote(value, safe="") for name, value in names.items()}
        case.path_parameters = {**(case.path_parameters or {}), **quoted}

    def _send(self, operation: Any, case: Any) -> None:
        answer = case.call(
            base_url=self._estate.url,
            headers=self.key.headers,
            session=self._session,
            timeout=ANSWER_SECONDS_MAX,
        )
        status = answer.status_code
        self.answered.setdefault(operation.label, set()).add(status)
        said = f"{status}: {answer.text[:300]}\n{answer.request.method} {answer.request.url}"
        if refusal := self._refusal(operation, status):
            self._findings.add(self.name, operation.label, f"{refusal}\n{said}")
            return
        if status in (404, 405) and "%2f" in answer.request.url.lower():
            return  # an encoded slash makes it another path
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            self._findings.add(self.name, operation.label, f"{group}\n{said}")

    def _refusal(self, operation: Any, status: int) -> str | None:
        """Say what is wrong about who was let in; None: nothing."""
        scope = operation.definition.raw["x-scope"]
        if self.key is NOBODY:
            return None if status == 401 else "without a key it is 401"
        if not self.key.may(scope, self._place(operation)):
            return None if status == 403 else f"{scope} is needed there: it is 403"
        return "the key is in force, and may" if status in (401, 403) else None

    def _names_for(self, path: str) -> dict[str, list[str]]:
        """Give names that are there for a path's parameters, from the listing above each."""
        names: dict[str, list[str]] = {}
        parts = path.split("/")
        for place, part in enumerate(parts):
            if part.startswith("{") and part != "{tenant}":
                listing = "/".join(parts[:place]).replace("{tenant}", self.tenant)
                there = self._listed(listing, part.strip("{}"))
                if there:
                    names[part.strip("{}")] = there
        return names

    def _listed(self, path: str, name: str) -> list[str]:
        if "{" in path:
            return []
        headers = self._estate.keys["platform-admin"].headers
        answer = self._session.get(self._estate.url + path, headers=headers)
        if answer.status_code != 200:
            return []
        wanted = (name, f"{name}_id", "id", "name")
        found = [
            next((str(item[key]) for key in wanted if item.get(key) not in (None, "")), None)
            for item in _items(answer.json())
        ]
        return [each for each in found if each and each not in self._own][:NAMES_MAX]


def _items(document: Any) -> Iterator[Mapping[str, Any]]:
    for value in document.values() if isinstance(document, dict) else ():
        if isinstance(value, list):
            yield from (each for each in value if isinstance(each, dict))


def try_with(
    estate: Estate, made: Requests, callers: list[tuple[str, str]], findings: Findings
) -> list[Caller]:
    with requests.Session() as session:
        session.trust_env = False
        tried = [Caller(estate, name, tenant, findings, session) for name, tenant in callers]
        for caller in tried:
            caller.try_all(made)
    return tried


def operations(estate: Estate) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in estate.document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_every_operation_says_who_may(estate: Estate) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(estate)]
    assert len(set(ids)) == len(ids) >= 15
    for path, method, operation in operations(estate):
        assert operation["x-scope"] in SCOPES, (path, method)
        assert operation["security"] == [{"Bearer": []}], (path, method)


@pytest.mark.parametrize(
    "callers",
    [
        [("nobody", OWN)],
        [("own-tenant-read", OWN), ("own-tenant-publish", OWN)],
        [("own-tenant-operator", OWN)],
        [("own-tenant-admin", OWN)],
        [("own-tenant-admin", OTHER), ("own-tenant-read", OTHER), ("other-tenant-admin", OWN)],
        [("platform-tenant-read", SPARE)],
        [("platform-admin", SPARE)],
    ],
    ids=["nobody", "reader", "operator", "admin", "others", "platform-reader", "platform-admin"],
)
async def test_a_key_gets_what_the_document_says_and_no_more(
    estate: Estate, made: Requests, callers: list[tuple[str, str]]
) -> None:
    findings = Findings()
    for caller in try_with(estate, made, callers, findings):
        never = sorted(label for label in caller.allowed if min(caller.answered[label]) >= 400)
        print(f"{caller.name}: {len(caller.allowed)} operations, never with a 2xx: {never}")
        assert len(never) * 5 <= len(caller.allowed), "what is refused all the time is not tried"
    findings.check()
    assert "Traceback" not in estate.program.log.read_text(errors="replace")


@pytest.mark.parametrize("tenant", [SPARE, "never-made"], ids=["deleted", "unknown"])
async def test_nothing_is_made_for_a_tenant_that_there_is_not(
    estate: Estate, made: Requests, tenant: str
) -> None:
    headers = estate.keys["platform-admin"].headers
    httpx.delete(f"{estate.url}/tenants/{tenant}", headers=headers, timeout=ANSWER_SECONDS_MAX)
    findings = Findings()
    (caller,) = try_with(estate, made, [("platform-admin", tenant)], findings)
    done = {
        label
        for label, statuses in caller.answered.items()
        if min(statuses) < 300 and "{tenant}" in label and not label.startswith(("GET", "DELETE"))
    }
    assert not done
    findings.check()


async def test_a_document_that_is_wrong_is_found_out(estate: Estate) -> None:
    wrong = json.loads(json.dumps(estate.document))
    paths, schemas = wrong["paths"], wrong["components"]["schemas"]
    tenant = paths["/tenants/{tenant}/keys"]
    tenant["get"]["x-scope"] = "platform-admin"
    paths["/tenants/{tenant}/audit"]["get"]["x-scope"] = "tenant-read"
    del paths["/tenants/{tenant}/keys/{prefix}"]["delete"]["responses"]["404"]
    schemas["UsageView"]["properties"]["plan"] = {"type": "integer"}
    wrong["paths"] = {
        path: paths[path]
        for path in (
            "/tenants/{tenant}/keys", "/tenants/{tenant}/keys/{prefix}",
            "/tenants/{tenant}/audit", "/tenants/{tenant}/usage",
        )
    }  # fmt: skip
    findings = Findings()
    # Nobody has changed that tenant: what is there to be found does not hang on the tests before.
    callers = [("other-tenant-admin", OTHER), ("platform-tenant-read", OTHER)]
    try_with(estate, Requests(wrong), callers, findings)
    admin, reader = f"other-tenant-admin on {OTHER}", f"platform-tenant-read on {OTHER}"
    assert set(findings.found) == {
        f"GET /tenants/{{tenant}}/keys with {admin}",
        f"DELETE /tenants/{{tenant}}/keys/{{prefix}} with {admin}",
        f"GET /tenants/{{tenant}}/usage with {admin}",
        f"GET /tenants/{{tenant}}/usage with {reader}",
        f"GET /tenants/{{tenant}}/audit with {reader}",
    }
