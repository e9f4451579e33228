"""`http`: calls out and keeps the answer as `http_response`.

In: method, url, query, headers, body, auth, timeout. Out: ``{status, ok, headers, body}``; any
status is an answer. A JSON body is parsed and its fields are also reachable directly; the four
names win (SPEC 4). Every call carries `Idempotency-Key`, the same when the step is repeated.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from actors.errors import PermanentError, TransientError
from actors.ids import effect_key
from actors.nodes.http_headers import check_headers, header_name_problem
from actors.nodes.http_message import (
    build_body,
    credentials_of,
    has_header,
    parse_response,
    render_authorization,
)
from actors.nodes.output import OUTPUT_BYTES_MAX, check_output
from actors.nodes.rendering import TAG, Rendering
from actors.nodes.retry_after import retry_after_seconds
from actors.nodes.schema import NODE_TIMEOUT_MS_MAX, STRICT, RetryPolicy, TimeoutMs
from actors.nodes.secret_access import fill_with_secrets
from actors.nodes.site import SECRETS, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.step import StepContext
from actors.nodes.urls import build_url, host_of, shown_url
from actors.outcomes import Advance
from actors.ports import HttpRequest, HttpResponse

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_BAD_REQUEST: Final = "http.bad_request"

_WORTH_REPEATING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say "not now" (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4; RFC 8470, 5.2)."""


class BasicAuth(BaseModel):
    """User and password, sent as RFC 7617 says."""

    model_config = STRICT

    type: Literal["basic"]
    """Which kind of `auth` it is."""
    username: str
    """The user's name."""
    password: str
    """The user's password."""


class BearerAuth(BaseModel):
    """A token, sent as RFC 6750 says."""

    model_config = STRICT

    type: Literal["bearer"]
    """Which kind of `auth` it is."""
    token: str
    """Printable ASCII."""


class HttpConfig(BaseModel):
    """The request; every text may be a template and read `secrets.NAME`."""

    model_config = STRICT

    url: str
    """Absolute, http or https. Values of a query belong in `query`, which encodes them."""
    method: str = "GET"
    """GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS."""
    headers: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Null leaves a header out."""
    query: dict[str, Any] | str | None = None
    """A map, or one tag that gives one; a list repeats its name, null is left out."""
    body: Any = None
    """Text is sent as it is; anything else as JSON, or as a form if its content type says so."""
    auth: Annotated[BasicAuth | BearerAuth, Field(discriminator="type")] | None = None
    """Makes the `Authorization` header, unless `headers` has one."""
    timeout: TimeoutMs = NODE_TIMEOUT_MS_MAX
    """Milliseconds to the whole answer."""
    retry: RetryPolicy | None = None
    """Tries again where no answer came, and on 408, 425, 429, 500, 502, 503 and 504; the last
    answer is the value."""


@dataclass(frozen=True, slots=True)
class HttpNode:
    """Renders its request, calls, and reads the answer."""

    request: Rendering
    timeout_seconds: float

    async def step_waiting(self, context: StepContext) -> Advance:
        """Call; TransientError without an answer, PermanentError for a request not to be sent."""
        parts, secrets = await fill_with_secrets(self.request, context)
        with secrets.withholding():
            request = self._build(parts, context)
        if SECRETS not in self.request.names:
            context.given = {"method": request.method, "url": shown_url(request.url)}
        secrets = secrets.with_values(credentials_of(request.headers))
        if secrets.are_in(host_of(request.url)):
            request = replace(request, hides_host=True)
        with secrets.guarding():
            response = await context.world.http.call(context.tenant, request)
        if response.status in _WORTH_REPEATING and context.retries_left:
            raise _for_now(response, context.world.clock.now_ms())
        value = secrets.mask(parse_response(response))
        check_output(value["body"])
        return Advance(value)

    def _build(self, parts: dict[str, Any], context: StepContext) -> HttpRequest:
        method = str(parts["method"]).upper()
        if method not in METHODS:
            raise PermanentError(f"{method!r} is no HTTP method", reason=_BAD_REQUEST)
        headers = check_headers(parts["headers"], _BAD_REQUEST)
        body, content_type = build_body(parts["body"], headers)
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        if parts["auth"] is not None and not has_header(headers, "authorization"):
            headers.append(("Authorization", render_authorization(parts["auth"])))
        if not has_header(headers, "idempotency-key"):
            key = effect_key(context.run_id, context.step_id, context.iteration)
            headers.append(("Idempotency-Key", key))
        return HttpRequest(
            method=method,
            url=build_url(parts["url"], parts["query"]),
            headers=tuple(headers),
            body=body,
            timeout_seconds=self.timeout_seconds,
            body_bytes_max=OUTPUT_BYTES_MAX,
        )


def _for_now(response: HttpResponse, now_ms: int) -> TransientError:
    return TransientError(
        f"the service answered {response.status}",
        reason="http.status",
        retry_after_seconds=retry_after_seconds(response.headers, now_ms),
    )


def build_http(config: HttpConfig, site: NodeSite) -> NodePlan:
    """Compile the request and check what is constant in it."""
    _check_constants(config, site)
    request = site.with_secrets().rendering(
        {
            "url": config.url,
            "method": config.method,
            "headers": config.headers,
            "query": config.query,
            "body": config.body,
            "auth": None if config.auth is None else config.auth.model_dump(),
        }
    )
    return NodePlan(HttpNode(request, config.timeout / 1000), retry=config.retry)


def _check_constants(config: HttpConfig, site: NodeSite) -> None:
    if TAG not in config.method and config.method.upper() not in METHODS:
        site.report("flow.bad_value", ("method",), f"{config.method!r} is no HTTP method")
    for name in config.headers:
        problem = header_name_problem(name)
        if problem is not None:
            site.report("flow.bad_value", ("headers", name), problem)
    if TAG not in config.url and not config.url.lower().startswith(("http://", "https://")):
        site.report("flow.bad_value", ("url",), "must be an absolute http or https address")


HTTP = NodeSpec(
    type="http",
    summary="Calls an HTTP service.",
    config=HttpConfig,
    build=build_http,
    value_name="http_response",
    has_effect=True,
)
