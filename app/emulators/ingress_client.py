"""Posts to our own ingress, as the real services would.

In: a path and a form. Out: the ingress's answer. Connects to this process's own public server and
nowhere else, whatever name it has in public; what is signed is the URL as the sender knows it.
Refuses nothing: an ingress that does not answer is an answer with status 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from actors.ports import Clock
from app.providers.provider import InboundRequest
from app.providers.signatures.catalog import build_scheme

ANSWER_SECONDS: Final = 20.0
"""Twilio waits 15 s; a flow may take as long as that."""
ANSWER_BYTES_MAX: Final = 1024 * 1024
ROUTES_BELOW: Final = "/events/"
FORM: Final = "application/x-www-form-urlencoded"
Part = tuple[str, tuple[str | None, bytes, str | None]]


@dataclass(frozen=True, slots=True)
class IngressAnswer:
    """What the ingress said; status 0 if nothing, with the reason as the body."""

    status: int
    media_type: str
    body: str


class IngressClient:
    """Speaks to the ingress of this process."""

    def __init__(
        self,
        ingress_url: Callable[[], str | None],
        public_url: Callable[[], str | None],
        clock: Clock,
        aliases: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._ingress_url = ingress_url
        self._public_url = public_url
        self._clock = clock
        self._aliases = aliases
        self._client = httpx.AsyncClient(
            timeout=ANSWER_SECONDS, trust_env=False, follow_redirects=False
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    def target_of(self, url: str) -> str | None:
        """Give path and query of a URL of one of our routes; None for any other place."""
        for base in (self._public_url(), self._ingress_url(), *self._aliases()):
            if base is not None and url.startswith(f"{base.rstrip('/')}{ROUTES_BELOW}"):
                return url[len(base.rstrip("/")) :].partition("#")[0]
        return None

    async def post_twilio(
        self, target: str, fields: Sequence[tuple[str, str]], auth_token: str
    ) -> IngressAnswer:
        """Post a form to a path (with its query) of ours, signed like Twilio's."""
        ingress = self._ingress_url()
        if ingress is None:
            return _silence("no ingress runs in this process")
        signed_url = f"{(self._public_url() or ingress).rstrip('/')}{target}"
        body = urlencode(fields).encode()
        headers = {"content-type": FORM, "user-agent": "TwilioProxy/1.1"}
        request = InboundRequest(headers=headers, body=body, public_url=lambda: signed_url)
        scheme = build_scheme("twilio", [auth_token])
        signed = scheme.sign(request, now_seconds=self._clock.now_ms() / 1000)
        return await self._post(ingress, target, headers={**headers, **signed}, content=body)

    async def post_parts(self, target: str, parts: Sequence[Part]) -> IngressAnswer:
        """Post a multipart form to a path (with its query) of ours."""
        ingress = self._ingress_url()
        if ingress is None:
            return _silence("no ingress runs in this process")
        headers = {"user-agent": "SendGrid-Parse/1"}
        return await self._post(ingress, target, headers=headers, files=list(parts))

    async def _post(
        self, ingress: str, target: str, *, headers: Mapping[str, str], **content: Any
    ) -> IngressAnswer:
        try:
            async with self._client.stream(
                "POST", f"{ingress.rstrip('/')}{target}", headers=headers, **content
            ) as response:
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        return _silence("the ingress's answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _silence(f"the ingress does not answer: {type(error).__name__}")
        media_type = response.headers.get("content-type", "")
        return IngressAnswer(response.status_code, media_type, body.decode("utf-8", "replace"))


def _silence(reason: str) -> IngressAnswer:
    return IngressAnswer(0, "", reason)
