"""The client of the API against a server on loopback that says what it is told to."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from actors.errors import QuotaExceededError, UnavailableError
from app.bundle.problems import Problem
from app.cli import api_client
from app.cli.api_client import ApiAddress, ApiClient, at_api, below
from app.cli.exit_codes import FAILED, REFUSED, UNAVAILABLE, exit_code_of
from app.errors import AppError, BundleError, CommandError, IngressError, LockedOutError

KEY = f"gte_{'a' * 8}_{'b' * 43}"
Answer = tuple[int, dict[str, str], bytes]


class Told:
    """Answers in order, and what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def server(told: Told) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append((self.command, self.path, headers, self.rfile.read(length)))
            status, more, body = told.next()
            self.send_response(status)
            for name, value in {**more, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def json_of(document: Any, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(document).encode()


def problem(status: int, code: str, detail: str = "no", **more: Any) -> Answer:
    return json_of({"status": status, "code": code, "detail": detail, **more}, status)


def get(url: str, path: str = "/things", **query: Any) -> Any:
    return at_api(ApiAddress.of(url, KEY), lambda client: client.get(path, query))


def post(url: str, body: Any = None, **more: Any) -> Any:
    address = ApiAddress.of(url, KEY)
    return at_api(address, lambda client: client.send("POST", "/tenants/acme/x", body, **more))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "PAUSES_SECONDS", (0.01, 0.01))


def test_key_query_and_revision_go_along() -> None:
    told = Told(json_of({"a": 1}))
    with server(told) as url:
        assert get(url, limit=3, deleted=True, after=None) == {"a": 1}
        assert post(url, {"x": 1}, revision=7) == {"a": 1}
        post(url, b"zip")
    (_, path, headers, _), (_, _, changed, body), (_, _, packed, content) = told.asked
    assert path == "/api/v1/things?limit=3&deleted=true"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (changed["if-match"], json.loads(body)) == ('"7"', {"x": 1})
    assert (packed["content-type"], content) == ("application/zip", b"zip")


@pytest.mark.parametrize(
    ("answer", "code", "exit_code"),
    [
        (problem(400, "http.bad_request"), "http.bad_request", REFUSED),
        (problem(401, "http.api_key"), "http.api_key", REFUSED),
        (problem(403, "http.forbidden"), "http.forbidden", REFUSED),
        (problem(403, "http.wrong_tenant"), "http.wrong_tenant", REFUSED),
        (problem(404, "store.not_found"), "store.not_found", REFUSED),
        (problem(409, "store.conflict"), "store.conflict", REFUSED),
        (problem(412, "http.precondition_failed"), "store.conflict", REFUSED),
        (problem(422, "store.value"), "store.value", REFUSED),
        (problem(422, "actors.invalid_event", "payload: no"), "actors.invalid_event", FAILED),
        (problem(422, "actors.invalid_subject"), "actors.invalid_subject", FAILED),
        (problem(422, "bundle.invalid", problems=[{"odd": 1}]), "bundle.invalid", FAILED),
        (problem(429, "http.locked_out"), "http.locked_out", REFUSED),
        (problem(429, "actors.quota_exceeded"), "actors.quota_exceeded", REFUSED),
        (problem(500, "http.internal"), "http.refused", REFUSED),
        (problem(418, "new.code"), "http.refused", REFUSED),
        (problem(503, "actors.unavailable"), "actors.unavailable", UNAVAILABLE),
        ((502, {}, b"<html>"), "actors.unavailable", UNAVAILABLE),
        ((404, {}, b"<html>"), "cli.refused", FAILED),
        ((200, {}, b"<html>"), "cli.refused", FAILED),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else str(value),
)
def test_refusals_are_the_errors_that_they_are_on_the_other_way(
    answer: Answer, code: str, exit_code: int
) -> None:
    with server(Told(answer)) as url, pytest.raises(Exception) as caught:
        post(url)
    error = caught.value
    assert (getattr(error, "code", None), exit_code_of(error)) == (code, exit_code)
    assert KEY not in str(error)


def test_what_a_refusal_tells_beside_its_text_is_kept() -> None:
    found = {"severity": "error", "code": "x", "message": "odd", "file": "a.ygtc", "line": 3}
    bundle = problem(422, "bundle.invalid", problems=[found])
    locked = json_of({"code": "http.locked_out", "detail": "no"}, 429, **{"retry-after": "17"})
    quota = json_of({"code": "actors.quota_exceeded", "detail": "no"}, 429)
    with server(Told(bundle, locked, quota)) as url:
        with pytest.raises(BundleError) as wrong:
            post(url)
        assert wrong.value.problems == (Problem("error", "x", "odd", "a.ygtc", 3),)
        with pytest.raises(LockedOutError) as locked_out:
            post(url)
        assert locked_out.value.retry_after_seconds == 17
        with pytest.raises(QuotaExceededError) as over:
            post(url)
        assert over.value.tenant == "acme"


def test_only_questions_are_asked_again() -> None:
    told = Told(problem(503, "actors.unavailable"), (503, {}, b""), json_of({"a": 1}))
    with server(told) as url:
        assert get(url) == {"a": 1}
    assert len(told.asked) == 3
    told = Told(problem(503, "actors.unavailable"))
    with server(told) as url, pytest.raises(UnavailableError):
        post(url)
    assert len(told.asked) == 1


def test_nobody_answers() -> None:
    with server(Told(json_of({}))) as url:
        pass
    with pytest.raises(UnavailableError, match="does not answer"):
        get(url)
    with pytest.raises(UnavailableError) as lost:
        post(url)
    assert "all the same" not in str(lost.value)


def test_change_whose_answer_is_lost_may_have_been_made() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def ask() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with api_client.opened(ApiAddress.of(f"http://127.0.0.1:{port}", KEY)) as client:
                await client.send("POST", "/things")

    with pytest.raises(UnavailableError, match="it may have done it all the same"):
        asyncio.run(ask())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirection_is_followed(status: int) -> None:
    elsewhere = Told(json_of({}))
    with (
        server(elsewhere) as other,
        server(Told((status, {"location": other}, b"{}"))) as url,
        pytest.raises(CommandError, match="leads elsewhere"),
    ):
        get(url)
    assert not elsewhere.asked


def test_pages_are_read_to_the_last_and_not_for_ever() -> None:
    async def walk(client: ApiClient) -> list[Any]:
        return [page["items"] async for page in client.walk("/things", {"revoked": True})]

    pages = [{"items": [1], "next_after": "b"}, {"items": [], "next_after": "d"}]
    told = Told(*map(json_of, pages), json_of({"items": [5], "next_after": None}))
    with server(told) as url:
        assert at_api(ApiAddress.of(url, KEY), walk) == [[1], [], [5]]
    assert [path.partition("?")[2] for _, path, _, _ in told.asked] == [
        "revoked=true&limit=1000",
        "revoked=true&limit=1000&after=b",
        "revoked=true&limit=1000&after=d",
    ]
    told = Told(json_of({"items": [1], "next_after": "b"}))
    with server(told) as url, pytest.raises(CommandError, match="no end"):
        at_api(ApiAddress.of(url, KEY), walk)


def test_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "ANSWER_BYTES_MAX", 10)
    with server(Told(json_of({"a": "b" * 100}))) as url, pytest.raises(CommandError):
        get(url)


@pytest.mark.parametrize(
    ("url", "is_insecure", "is_taken"),
    [
        ("http://127.0.0.1:8081", False, True),
        ("http://127.9.9.9", False, True),
        ("http://[::1]:8081/", False, True),
        ("http://localhost:8081", False, True),
        ("https://control.example.com/base", False, True),
        ("http://control.example.com", False, False),
        ("http://control.example.com", True, True),
        ("http://127.0.0.1.example.com", False, False),
        ("http://localhost.example.com", False, False),
        ("http://10.0.0.1:8081", False, False),
        ("http://0.0.0.0:8081", False, False),
        ("https://me:canary@control.example.com", False, False),
        ("https://control.example.com/?canary", False, False),
        ("https://control.example.com/#canary", False, False),
        ("ftp://canary", False, False),
        ("https://", False, False),
        ("https://x:canary", False, False),
        ("canary", False, False),
        ("http://127.0.0.1\n/canary", False, False),
    ],
)
def test_where_a_key_may_go(url: str, is_insecure: bool, is_taken: bool) -> None:
    if is_taken:
        assert ApiAddress.of(url, KEY, is_insecure=is_insecure).url == url.rstrip("/")
        return
    with pytest.raises(CommandError) as caught:
        ApiAddress.of(url, KEY, is_insecure=is_insecure)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "canary\nx: y", "canary\x00", "canäry", "k" * 201])
def test_what_can_be_no_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(AppError) as caught:
        ApiAddress.of("http://127.0.0.1", key)
    assert "can" not in str(caught.value).replace("cannot", "")
    assert KEY not in repr(ApiAddress.of("http://127.0.0.1", KEY))


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_name_never_leads_to_another_place(name: str) -> None:
    with pytest.raises(CommandError):
        below("tenants", "acme", "secrets", name)
    assert below("tenants", "a/b", "../x#?") == "/tenants/a%2Fb/..%2Fx%23%3F"


def test_errors_that_are_not_known_keep_their_words() -> None:
    told = Told(problem(418, "new.code", "short and stout"))
    words = r"short and stout \[new\.code\]"
    with server(told) as url, pytest.raises(IngressError, match=words):
        post(url)
