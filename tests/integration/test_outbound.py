"""The guarded client against real sockets: pinning, rebinding, redirects, bombs, circuits, TLS."""

import asyncio
import contextlib
import gzip
import random
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.errors import NodeError, PermanentError, TransientError
from actors.observations import CallEnded
from actors.ports import HttpRequest
from actors.testing.observer import RecordingObserver
from app.outbound import EgressPolicy, GuardedCaller
from app.outbound.addresses import Address
from app.outbound.breaker import FAILURES_MAX, OPEN_SECONDS
from app.outbound.observations import CallRefused, CircuitOpened
from app.outbound.policy import PrivateGrants
from app.system import SystemClock

LOOPBACK = EgressPolicy(PrivateGrants((ip_network("127.0.0.0/8"),)))
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Answer = bytes | Callable[[bytes], bytes]


def redirect(place: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n".encode()


def answer(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Service:
    """A server that speaks raw HTTP: one answer for each request, the last one again and again."""

    answers: list[Answer] = field(default_factory=lambda: [OK])
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in head.split(b"\r\n")
                        if line[:15].lower() == b"content-length:"
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                whole = said(head) if callable(said) else said
                if not whole:
                    break
                writer.write(whole)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    async with server:
        service.port = server.sockets[0].getsockname()[1]
        yield service


@dataclass
class ScriptedResolver:
    """Gives one list of addresses after the other, the last one again and again."""

    lists: list[Sequence[str]]
    asked: int = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        del host, port
        self.asked += 1
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return [ip_address(text) for text in found]


class SkippingClock(SystemClock):
    """Real time that a test may move ahead; pauses take none."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def get(url: str, **more: Any) -> HttpRequest:
    return HttpRequest("GET", url, timeout_seconds=more.pop("timeout_seconds", 5.0), **more)


async def refused(caller: GuardedCaller, url: str, **more: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        await caller.call("demo", get(url, **more))
    assert caught.value.reason == "http.refused"
    return caught.value


# ── Addresses ────────────────────────────────────────────────────────────────────────────────


async def test_a_private_address_is_refused_until_it_is_granted(service: Service) -> None:
    observer = RecordingObserver()
    url = f"http://127.0.0.1:{service.port}/secret?key=value"
    async with GuardedCaller(EgressPolicy(), clock=SystemClock(), observer=observer) as caller:
        error = await refused(caller, url)
        assert "loopback" in str(error)
        assert "allow_private" in str(error)
        assert "value" not in str(error)
        assert observer.of(CallRefused) == [CallRefused("demo", "loopback")]
        assert service.connections == 0
        caller.policy = LOOPBACK
        assert (await caller.call("demo", get(url))).body == b"ok"


async def test_own_ports_stay_closed(service: Service) -> None:
    policy = EgressPolicy(LOOPBACK.private, own_ports=frozenset({service.port}))
    async with GuardedCaller(policy, clock=SystemClock()) as caller:
        assert "own ports" in str(await refused(caller, f"http://127.0.0.1:{service.port}/"))
    assert service.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1.nip.io", "7f000001.nip.io", "127-0-0-1.sslip.io"])
async def test_a_name_is_judged_by_its_address(host: str, service: Service) -> None:
    resolver = ScriptedResolver([["127.0.0.1"]])
    async with GuardedCaller(EgressPolicy(), clock=SystemClock(), resolver=resolver) as caller:
        await refused(caller, f"http://{host}:{service.port}/")
    assert service.connections == 0


async def test_one_private_address_condemns_the_host(service: Service) -> None:
    resolver = ScriptedResolver([["93.184.216.34", "10.0.0.1"]])
    async with GuardedCaller(EgressPolicy(), clock=SystemClock(), resolver=resolver) as caller:
        assert "private" in str(await refused(caller, "http://two.example/"))


async def test_a_name_that_changes_its_answer_gains_nothing(service: Service) -> None:
    """The first look is what is connected to; the second call looks again and is refused."""
    granted = EgressPolicy(PrivateGrants((ip_network("127.0.0.1/32"),)))
    resolver = ScriptedResolver([["127.0.0.1"], ["127.0.0.2"]])
    service.answers = [answer(b"first", "connection: close")]
    async with GuardedCaller(granted, clock=SystemClock(), resolver=resolver) as caller:
        url = f"http://rebinding.example:{service.port}/"
        assert (await caller.call("demo", get(url))).body == b"first"
        assert resolver.asked == 1
        await refused(caller, url)
    assert resolver.asked == 2
    assert service.connections == 1


async def test_the_host_header_is_the_name_and_the_connection_the_address(service: Service) -> None:
    resolver = ScriptedResolver([["127.0.0.1"]])
    async with GuardedCaller(LOOPBACK, clock=SystemClock(), resolver=resolver) as caller:
        await caller.call("demo", get(f"http://Api.Example.:{service.port}/a?b=%20"))
    head = service.requests[0].lower()
    assert head.startswith(b"get /a?b=%20 http/1.1\r\n")
    assert f"host: api.example:{service.port}\r\n".encode() in head


async def test_a_tenants_list_of_hosts_holds(service: Service) -> None:
    policy = EgressPolicy(LOOPBACK.private, allowed_hosts={"demo": ["*.example.com"]})
    resolver = ScriptedResolver([["127.0.0.1"]])
    async with GuardedCaller(policy, clock=SystemClock(), resolver=resolver) as caller:
        await refused(caller, f"http://other.org:{service.port}/")
        assert resolver.asked == 0
        url = f"http://api.example.com:{service.port}/"
        assert (await caller.call("demo", get(url))).status == 200
        assert (await caller.call("else", get(f"http://other.org:{service.port}/"))).status == 200


# ── Redirects ────────────────────────────────────────────────────────────────────────────────


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(service: Service) -> None:
    service.answers = [redirect("/next"), redirect("/next"), OK]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        assert (await caller.call("demo", get(url))).status == 302
        assert (await caller.call("demo", get(url, redirects_max=1))).body == b"ok"
        service.answers = [redirect("/again")]
        last = await caller.call("demo", get(url, redirects_max=3))
    assert last.status == 302
    assert len(service.requests) == 1 + 2 + 4


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/latest", "http://[::1]/", "http://0x7f.1/", "file:///etc/x"]
)
async def test_each_redirect_is_looked_at(service: Service, place: str) -> None:
    service.answers = [redirect(place)]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        await refused(caller, f"http://127.0.0.1:{service.port}/", redirects_max=5)


async def test_credentials_stay_with_their_origin_and_a_post_becomes_a_get(
    service: Service,
) -> None:
    other = Service()
    server = await asyncio.start_server(other.serve, "127.0.0.1", 0)
    async with server, GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        port = server.sockets[0].getsockname()[1]
        service.answers = [redirect(f"http://127.0.0.1:{port}/there", 303)]
        headers = (
            ("Authorization", "Bearer s3cret"),
            ("Content-Type", "a/b"),
            ("X-Api-Key", "k3y"),
            ("Accept", "x/kept"),
        )
        url = f"http://127.0.0.1:{service.port}/"
        await caller.call("demo", HttpRequest("POST", url, headers, b"body", 5, redirects_max=1))
    assert b"s3cret" in service.requests[0]
    assert other.requests[0].startswith(b"GET /there ")
    assert b"s3cret" not in other.requests[0]
    assert b"body" not in other.requests[0]
    assert b"k3y" not in other.requests[0]
    assert b"x/kept" in other.requests[0]


@pytest.mark.parametrize("status", [307, 308])
async def test_a_body_is_not_taken_to_another_origin(service: Service, status: int) -> None:
    service.answers = [redirect("/here", status), redirect("http://127.0.0.2:1/there", status)]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        request = HttpRequest("POST", url, body=b"secret", timeout_seconds=5, redirects_max=5)
        response = await caller.call("demo", request)
    assert response.status == status
    assert [head.split(b" ")[1] for head in service.requests] == [b"/", b"/here"]
    assert service.requests[1].endswith(b"secret")


async def test_a_tenants_cookie_is_nobodys_business(service: Service) -> None:
    service.answers = [answer(b"", "set-cookie: session=of-a; path=/"), OK]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        assert "session" in (await caller.call("a", get(url))).headers["set-cookie"]
        await caller.call("b", get(url))
    assert b"session" not in service.requests[1]


# ── Requests ─────────────────────────────────────────────────────────────────────────────────


async def test_host_and_framing_are_not_the_callers_to_set(service: Service) -> None:
    headers = (
        ("Host", "other.example"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "9"),
        ("Connection", "upgrade"),
        ("X-Kept", "yes"),
    )
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        await caller.call("demo", HttpRequest("POST", url, headers, b"body", 5))
    sent = service.requests[0].lower()
    assert f"host: 127.0.0.1:{service.port}\r\n".encode() in sent
    assert b"content-length: 4\r\n" in sent
    assert b"x-kept: yes\r\n" in sent
    for forbidden in (b"other.example", b"transfer-encoding", b"upgrade"):
        assert forbidden not in sent
    assert sent.endswith(b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("CONNECT", ()),
        ("GET / HTTP/1.1\r\nX:", ()),
        ("GÉT", ()),
        ("", ()),
        ("GET", (("x", "\u20ac"),)),
        ("GET", (("\u20ac", "x"),)),
        ("GET", (("x", "a\r\nHost: b"),)),
        ("GET", (("x y", "a"),)),
    ],
)
async def test_what_http_cannot_carry_is_refused(
    service: Service, method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        with pytest.raises(PermanentError) as caught:
            await caller.call("demo", HttpRequest(method, url, headers, timeout_seconds=5))
    assert caught.value.reason == "http.refused"
    assert service.requests == []


async def test_a_connection_is_used_again_unless_a_header_vouches_for_all_of_it(
    service: Service,
) -> None:
    """NTLM and Negotiate authenticate connections: another tenant must not be given one."""
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        await caller.call("a", get(url, headers=(("Authorization", "Bearer x"),)))
        await caller.call("b", get(url))
        assert service.connections == 1
        await caller.call("a", get(url, headers=(("authorization", "NTLM TlRMTVNTUAAD"),)))
        await caller.call("b", get(url))
    assert service.connections == 2


async def test_calls_under_way_fail_when_the_client_is_closed(service: Service) -> None:
    service.answers = [b"HTTP/1.1 200 OK\r\n"]
    caller = GuardedCaller(LOOPBACK, clock=SkippingClock())
    request = HttpRequest("POST", f"http://127.0.0.1:{service.port}/", timeout_seconds=5)
    call = asyncio.create_task(caller.call("demo", request))
    while not service.requests:
        await asyncio.sleep(0.005)
    await caller.close()
    with pytest.raises(TransientError):
        await call


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────


async def test_a_gzip_bomb_is_cut_off(service: Service) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, 9)
    assert len(bomb) < 60_000
    service.answers = [answer(bomb, "content-encoding: gzip")]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        with pytest.raises(PermanentError) as caught:
            await caller.call("demo", get(f"http://127.0.0.1:{service.port}/"))
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (answer(b"x" * 11), "too_large"),
        (answer(gzip.compress(b"fine")[:-6], "content-encoding: gzip"), "http.broken"),
        (answer(b"no gzip at all", "content-encoding: gzip"), "http.broken"),
        (answer(zlib.compress(b"fine"), "content-encoding: br"), "http.coding"),
        (b"nonsense\r\n\r\n", "http.broken"),
        (b"", "http.broken"),
    ],
    ids=["long", "cut", "no gzip", "coding", "no http", "nothing"],
)
async def test_a_broken_answer_is_named(service: Service, said: bytes, reason: str) -> None:
    service.answers = [said]
    async with GuardedCaller(LOOPBACK, clock=SkippingClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        with pytest.raises((PermanentError, TransientError)) as caught:
            await caller.call("demo", get(url, body_bytes_max=10))
    assert caught.value.reason == reason


async def test_gzip_within_the_limit_is_unpacked(service: Service) -> None:
    body = bytes(range(256)) * 100
    service.answers = [answer(gzip.compress(body), "content-encoding: gzip")]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        assert (await caller.call("demo", get(url, body_bytes_max=len(body)))).body == body


async def test_any_answer_is_read_or_named(service: Service) -> None:
    """Nothing that a service may say comes out as anything but an answer or a NodeError."""
    chance = random.Random(20261124)  # noqa: S311 - makes bad answers, hides nothing
    whole = answer(gzip.compress(b"x" * 300), "content-encoding: gzip", "set-cookie: a", "b: \xff")
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    odd = [
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK,
        b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        redirect("http://[/"),
        redirect("//" + "a" * 9000),
        redirect("\xff"),
    ]
    answers = odd + [_mutate(chance, text) for text in (whole, chunked, OK) for _ in range(60)]
    async with GuardedCaller(LOOPBACK, clock=SkippingClock()) as caller:
        for number, text in enumerate(answers):
            service.answers = [lambda _, text=text: text]  # type: ignore[misc]
            url = f"http://127.0.0.1:{service.port}/"
            request = HttpRequest(
                "POST", url, body_bytes_max=10_000, timeout_seconds=0.05, redirects_max=2
            )
            with contextlib.suppress(NodeError):
                await caller.call(f"t{number}", request)


def _mutate(chance: random.Random, text: bytes) -> bytes:
    changed = bytearray(text)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed))
        match chance.randrange(3):
            case 0:
                changed[place] = chance.randrange(256)
            case 1:
                del changed[place : place + chance.randint(1, 8)]
            case _:
                changed[place:place] = chance.randbytes(3)
        if not changed:
            break
    return bytes(changed)


async def test_a_silent_service_is_a_timeout(service: Service) -> None:
    service.answers = [b"HTTP/1.1 200 OK\r\n"]
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        with pytest.raises(TransientError) as caught:
            await caller.call("demo", get(url, timeout_seconds=0.2))
    assert caught.value.reason == "http.timeout"


# ── Repeats and circuits ─────────────────────────────────────────────────────────────────────


async def test_an_idempotent_call_is_repeated_and_a_post_is_not(service: Service) -> None:
    clock = SkippingClock()
    async with GuardedCaller(LOOPBACK, clock=clock) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        service.answers = [b"", b"", OK]
        assert (await caller.call("demo", get(url))).body == b"ok"
        assert len(service.requests) == 3
        service.answers = [b"", OK]
        with pytest.raises(TransientError):
            await caller.call("demo", HttpRequest("POST", url, body=b"pay", timeout_seconds=5))
        assert len(service.requests) == 4


@pytest.mark.parametrize(
    ("hint", "calls", "slept"), [("2", 2, [2.0]), ("60", 1, []), (None, 1, []), ("x", 1, [])]
)
async def test_retry_after_is_honoured_when_it_is_short(
    service: Service, hint: str | None, calls: int, slept: list[float]
) -> None:
    clock = SkippingClock()
    headers = [] if hint is None else [f"retry-after: {hint}"]
    service.answers = [answer(b"", *headers, status=429), OK]
    async with GuardedCaller(LOOPBACK, clock=clock) as caller:
        response = await caller.call("demo", get(f"http://127.0.0.1:{service.port}/"))
    assert (len(service.requests), clock.slept) == (calls, slept)
    assert response.status == (200 if calls > 1 else 429)


async def test_host_made_of_a_secret_is_not_named(service: Service) -> None:
    observer = RecordingObserver()
    service.answers = [answer(b"", status=503)]
    async with GuardedCaller(LOOPBACK, clock=SkippingClock(), observer=observer) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        request = HttpRequest("POST", url, body=b"", timeout_seconds=5, hides_host=True)
        for _ in range(FAILURES_MAX):
            await caller.call("demo", request)
    assert observer.of(CircuitOpened) == [CircuitOpened("demo", "[secret]")]


async def test_a_failing_host_is_left_alone_and_asked_again(service: Service) -> None:
    clock, observer = SkippingClock(), RecordingObserver()
    service.answers = [answer(b"", status=503)]
    async with GuardedCaller(LOOPBACK, clock=clock, observer=observer) as caller:
        request = HttpRequest(
            "POST", f"http://127.0.0.1:{service.port}/", body=b"", timeout_seconds=5
        )
        for _ in range(FAILURES_MAX):
            assert (await caller.call("demo", request)).status == 503
        assert observer.of(CircuitOpened) == [CircuitOpened("demo", "127.0.0.1")]
        with pytest.raises(TransientError) as caught:
            await caller.call("demo", request)
        assert caught.value.reason == "http.circuit_open"
        assert caught.value.retry_after_seconds is not None
        assert len(service.requests) == FAILURES_MAX
        assert (await caller.call("neighbour", request)).status == 503
        clock.ahead += OPEN_SECONDS
        service.answers = [OK]
        assert (await caller.call("demo", request)).status == 200
        assert (await caller.call("demo", request)).status == 200


async def test_a_silent_host_opens_its_circuit_too(service: Service) -> None:
    service.answers = [b"HTTP/1.1 200 OK\r\n"]
    observer = RecordingObserver()
    async with GuardedCaller(LOOPBACK, clock=SystemClock(), observer=observer) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        request = HttpRequest("POST", url, timeout_seconds=0.02)
        reasons = []
        for _ in range(FAILURES_MAX + 1):
            with pytest.raises(TransientError) as caught:
                await caller.call("demo", request)
            reasons.append(caught.value.reason)
    assert reasons == ["http.timeout"] * FAILURES_MAX + ["http.circuit_open"]
    ended = [(seen.outcome, seen.open_circuits) for seen in observer.of(CallEnded)]
    assert ended == [("http.timeout", 0)] * 4 + [("http.timeout", 1), ("http.circuit_open", 1)]


async def test_a_call_that_is_given_up_says_nothing_about_its_host(service: Service) -> None:
    service.answers = [b"HTTP/1.1 200 OK\r\n"]
    observer = RecordingObserver()
    async with GuardedCaller(LOOPBACK, clock=SystemClock(), observer=observer) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        for _ in range(FAILURES_MAX + 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await caller.call("demo", get(url))
        service.answers = [OK]
        assert (await caller.call("demo", get(url))).status == 200
    outcomes = [seen.outcome for seen in observer.of(CallEnded)]
    assert outcomes == ["interrupted"] * (FAILURES_MAX + 1) + ["2xx"]


async def test_the_whole_call_has_one_deadline(service: Service) -> None:
    """Repeats and redirects do not begin the time anew."""
    service.answers = [lambda _: redirect("/again")]
    loop = asyncio.get_running_loop()
    async with GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{service.port}/"
        began = loop.time()
        with pytest.raises(TransientError):
            await caller.call("demo", get(url, timeout_seconds=0.1, redirects_max=100_000))
    assert loop.time() - began < 1


async def test_nobody_listening_is_no_connection(service: Service) -> None:
    async with GuardedCaller(LOOPBACK, clock=SkippingClock()) as caller:
        with pytest.raises(TransientError) as caught:
            await caller.call("demo", get("http://127.0.0.1:1/"))
    assert caught.value.reason == "http.connect"
    assert "127" not in str(caught.value)


async def test_one_tenant_does_not_take_all_places(service: Service) -> None:
    gate = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await service.serve(reader, writer)

    slow = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with slow, GuardedCaller(LOOPBACK, clock=SystemClock()) as caller:
        url = f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}/"
        greedy = [asyncio.ensure_future(caller.call("greedy", get(url))) for _ in range(80)]
        await asyncio.sleep(0.05)
        other = f"http://127.0.0.1:{service.port}/"
        assert (await caller.call("modest", get(other))).status == 200
        gate.set()
        assert {(await call).status for call in greedy} == {200}


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


async def test_the_certificate_is_held_against_the_name(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "api.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=serving)
    resolver = ScriptedResolver([["127.0.0.1"]])
    clock = SkippingClock()
    async with (
        server,
        GuardedCaller(LOOPBACK, clock=clock, resolver=resolver, ssl_context=trusting) as caller,
    ):
        port = server.sockets[0].getsockname()[1]
        assert (await caller.call("demo", get(f"https://api.example:{port}/"))).body == b"ok"
        with pytest.raises(TransientError, match="certificate is refused"):
            await caller.call("demo", get(f"https://other.example:{port}/"))
        with pytest.raises(TransientError, match="certificate is refused"):
            await caller.call("demo", get(f"https://127.0.0.1:{port}/"))
