"""A pager: alarms come in at a URL of their own, and flows page somebody through its service."""

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr

from actors.ports import HttpRequest, NormalizedEvent
from app import providers
from app.errors import SignatureError


class Options(BaseModel, frozen=True, extra="forbid"):
    enabled: bool = True
    token: SecretStr
    service_url: str


class Page(BaseModel, frozen=True, extra="forbid"):
    whom: str


class Pager(providers.InboundDefaults, providers.OutboundDefaults):
    def __init__(self, options: Options, context: providers.ProviderContext) -> None:
        self._options, self._http = options, context.http

    def verify(self, request: providers.InboundRequest) -> str:
        given = request.headers.get("x-pager-token", "").encode()
        if not hmac.compare_digest(given, self._options.token.get_secret_value().encode()):
            raise SignatureError("the pager's token is missing or wrong")
        return "token"

    def receive(
        self, request: providers.InboundRequest, signature: str | None
    ) -> providers.Inbound:
        alarm = providers.decode_json_body(request.body)
        return providers.Inbound(
            (NormalizedEvent("pager.alarm", "pager", alarm, {"signature": signature}),)
        )

    async def perform(self, call: providers.ActionCall) -> Mapping[str, Any]:
        body = msgspec.json.encode(call.arguments.model_dump())
        request = HttpRequest("POST", self._options.service_url, body=body)
        return {"status": (await self._http.call(call.tenant, request)).status}


def build(options: Options, context: providers.ProviderContext) -> providers.Provider:
    pager = Pager(options, context)
    return providers.Provider("events-pager", inbound=pager, outbound=pager)


ROUTES = (providers.InboundRoute("alarm", "/events/pager/{tenant}"),)
ACTIONS = (providers.ActionSpec("page", "Pages somebody", Page),)
PAGER = providers.ProviderSpec(
    "events-pager", "Alarms in, pages out", Options, build, ROUTES, ACTIONS
)
