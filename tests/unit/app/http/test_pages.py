"""Probes and metrics: what each address serves, and that errors there are problems too."""

from collections.abc import Sequence

import httpx
import pytest

from app.http.doors import always_ready
from app.http.pages import build_admin_app, build_public_pages
from tests.support.ingress import Client, Ingress

NOT_READY: Sequence[str] = ("the bus does not answer", "nobody polls")


def admin(reasons: Sequence[str] = ()) -> Client:
    return Client(
        build_admin_app(lambda: reasons, lambda: (b"up 1\n", "text/plain; version=0.0.4"))
    )


async def test_health_is_about_the_process_alone() -> None:
    for client in (admin(NOT_READY), Client(build_public_pages(lambda: NOT_READY))):
        reply = await client.request("GET", "/health")
        assert (reply.status, reply.json) == (200, {"status": "alive"})


async def test_ready_gives_every_reason_why_not() -> None:
    client = Client(build_public_pages(lambda: NOT_READY))
    reply = await client.request("GET", "/ready")
    assert (reply.status, reply.json["reasons"]) == (503, list(NOT_READY))
    assert reply.header("content-type") == "application/problem+json"
    assert reply.header("retry-after") == "1"


async def test_ready_process_says_so() -> None:
    reply = await Client(build_public_pages(always_ready)).request("GET", "/ready")
    assert (reply.status, reply.json) == (200, {"status": "ready"})


async def test_metrics_are_on_the_admin_address_only() -> None:
    reply = await admin().request("GET", "/metrics")
    assert (reply.status, reply.body) == (200, b"up 1\n")
    assert (reply.header("content-type") or "").startswith("text/plain; version=0.0.4")
    assert (await Ingress().client.request("GET", "/metrics")).status == 404


@pytest.mark.parametrize("path", ["/", "/health/", "/healthy", "//", "/console", "/event/webhook"])
async def test_unknown_page_is_a_404_problem(path: str) -> None:
    reply = await Ingress().client.request("GET", path)
    assert (reply.status, reply.json["code"]) == (404, "http.not_found")


async def test_wrong_method_is_a_405_problem_with_allow() -> None:
    reply = await Ingress().client.request("POST", "/health")
    assert (reply.status, reply.json["code"]) == (405, "http.method_not_allowed")
    assert set((reply.header("allow") or "").split(", ")) == {"GET", "HEAD"}


async def test_broken_page_is_a_500_problem_that_tells_nothing() -> None:
    def broken() -> Sequence[str]:
        raise RuntimeError("hunter2")

    transport = httpx.ASGITransport(build_public_pages(broken), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        reply = await client.get("/ready")
    assert (reply.status_code, reply.json()["code"]) == (500, "http.internal")
    assert "hunter2" not in reply.text
