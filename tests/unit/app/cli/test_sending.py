"""Events sent over HTTP, to a real server of the standard library."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from actors.errors import InvalidEventError, InvalidSubjectError, UnavailableError
from app.cli.sending import SendRequest, Sent, send_over_http
from app.errors import CommandError


class Recorder:
    """A server that answers everything alike and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 202
        self.body = b'{"event_id": "E1"}'
        self.content_type = "application/json"
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.asked.append((self.path, headers, body))
                self.send_response(recorder.status)
                self.send_header("content-type", recorder.content_type)
                self.send_header("content-length", str(len(recorder.body)))
                self.end_headers()
                self.wfile.write(recorder.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever, args=(0.01,))
    thread.start()
    yield recorder
    recorder.server.shutdown()
    thread.join()
    recorder.server.server_close()


def request(body: bytes = b'{"a":1}', secret: str | None = None) -> SendRequest:
    return SendRequest("demo", "order.created", body, json.loads(body), secret, "x-sig")


def test_an_event_is_posted_as_a_webhook(recorder: Recorder) -> None:
    sent = send_over_http(recorder.url + "/", request())
    path, headers, body = recorder.asked[0]
    assert (path, body) == ("/events/webhook/demo/order.created", b'{"a":1}')
    assert headers["content-type"] == "application/json"
    assert "x-sig" not in headers
    assert sent == Sent(202, "E1", {"event_id": "E1"})
    assert (sent.is_accepted, sent.text) == (True, "")


def test_a_secret_signs_the_bytes_as_they_are_sent(recorder: Recorder) -> None:
    send_over_http(recorder.url, request(b'{ "a" : 1 }', "s3cret"))
    _, headers, body = recorder.asked[0]
    expected = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert headers["x-sig"] == f"sha256={expected}"
    assert "s3cret" not in repr(request(secret="s3cret"))


def test_a_flows_answer_is_shown(recorder: Recorder) -> None:
    recorder.status, recorder.body = 200, b'{"event_id": "mine", "ok": true}'
    sent = send_over_http(recorder.url, request())
    assert sent.event_id is None
    assert json.loads(sent.text) == {"event_id": "mine", "ok": True}
    recorder.content_type, recorder.body = "text/plain", b"hello"
    assert send_over_http(recorder.url, request()).text == "hello"


def test_a_refusal_is_no_acceptance(recorder: Recorder) -> None:
    recorder.status, recorder.body = 404, b'{"code": "http.unknown_tenant"}'
    sent = send_over_http(recorder.url, request())
    assert sent.as_document() == {
        "accepted": False,
        "status": 404,
        "event_id": None,
        "duplicate": False,
        "body": {"code": "http.unknown_tenant"},
    }
    assert "unknown_tenant" in sent.text


def test_what_calls_itself_json_and_is_none_is_text(recorder: Recorder) -> None:
    recorder.body = b"{"
    assert send_over_http(recorder.url, request()).body == "{"


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        send_over_http("http://127.0.0.1:1", request())


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8080", "http://[", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(CommandError, match="is no address"):
        send_over_http(url, request())


def test_names_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(InvalidSubjectError):
        SendRequest("De.mo", "a", b"", None).check()
    with pytest.raises(InvalidEventError):
        SendRequest("demo", "a.result", b"", None).check()
    request().check()
