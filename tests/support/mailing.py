"""Providers of e-mail for tests, on a clock that stands and a scripted HTTP client."""

import re
from collections.abc import Mapping
from typing import Any

from actors.ports import Clock
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from app.providers.email.address import Address
from app.providers.email_sendgrid.options import SendGridOptions
from app.providers.email_sendgrid.spec import SENDGRID, build_sendgrid
from app.providers.provider import (
    ActionCall,
    Inbound,
    InboundProvider,
    InboundRequest,
    Provider,
    ProviderContext,
)

API_KEY = "SG.an-api-key"
ACCOUNT = {"api_key": API_KEY, "from_email": "shop@example.org"}
TOKEN = "0123456789abcdef"
_QUOTE_NEEDED = re.compile(r'[()<>\[\]:;@\\,."]')


def format_address(address: Address) -> str:
    """Write an address as ``Name <a@b>``; `parse_address` is its inverse."""
    if not address.name:
        return address.email
    name = address.name
    if _QUOTE_NEEDED.search(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address.email}>"


def sendgrid(
    http: MemoryHttp | None = None,
    *,
    env: str = "dev",
    clock: Clock | None = None,
    endpoints: Mapping[str, str] | None = None,
    **options: Any,
) -> Provider:
    """Make a SendGrid provider."""
    context = ProviderContext(
        env, http or MemoryHttp(), clock or VirtualClock(), endpoints=endpoints or {}
    )
    return build_sendgrid(SendGridOptions.model_validate({**ACCOUNT, **options}), context)


def sendgrid_door(**options: Any) -> InboundProvider:
    """Give the half of a SendGrid provider that takes events in."""
    inbound = sendgrid(**options).inbound
    assert inbound is not None
    return inbound


def take(door: InboundProvider, request: InboundRequest) -> Inbound:
    """Verify and read a request, as the HTTP layer does."""
    return door.receive(request, door.verify(request))


def action_call(action: str = "send", key: str = "run:node:0", **arguments: Any) -> ActionCall:
    """Make a call of an action of SendGrid's."""
    model = next(spec.arguments for spec in SENDGRID.actions if spec.name == action)
    return ActionCall("demo", action, model.model_validate(arguments), key)


def form(*fields: tuple[str, str | bytes, dict[str, str]], boundary: str = "xYzZY") -> bytes:
    """Write a multipart form: of each field a name, the content, and what else its head says."""
    parts = []
    for name, content, more in fields:
        filename = f'; filename="{more["filename"]}"' if "filename" in more else ""
        head = f'Content-Disposition: form-data; name="{name}"{filename}\r\n'
        if "type" in more:
            head += f"Content-Type: {more['type']}\r\n"
        body = content.encode() if isinstance(content, str) else content
        parts.append(f"--{boundary}\r\n{head}\r\n".encode() + body + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def parse_post(body: bytes, **more: Any) -> InboundRequest:
    """Make a post of Inbound Parse."""
    headers = {"content-type": "multipart/form-data; boundary=xYzZY", **more.pop("headers", {})}
    return InboundRequest(headers=headers, body=body, tenant="demo", route="inbound", **more)
