"""The guarded HTTP client: every call that leaves the process for a flow or a provider.

In: a tenant's request. Out: the answer; any status is one. The way of a call: read the URL, ask
the tenant's list of hosts, ask the circuit, connect to an address that was looked at, read within
bounds; each redirect that is followed takes the same way again. Repeats only what is safe: a call
of which nothing was sent, and idempotent ones (RFC 9110, 9.2.2). Errors never show a query, a
header or an address.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from actors.errors import NodeError, PermanentError, TransientError
from actors.nodes.retry_after import retry_after_seconds
from actors.observations import CallEnded
from actors.ports import Clock, HttpRequest, HttpResponse, Observer
from app.outbound.backend import GuardedBackend, RefusedAddressError
from app.outbound.breaker import CircuitBreaker, Key
from app.outbound.lanes import Lanes
from app.outbound.observations import CallRefused, CircuitOpened
from app.outbound.policy import EgressPolicy
from app.outbound.redirects import next_request
from app.outbound.resolver import CALLING_TENANT, Resolver, SystemResolver
from app.outbound.targets import REFUSED, Target, read_target
from app.outbound.wire import CONNECTIONS_MAX, NOT_CONNECTED, TIMED_OUT, NoAnswerError, Wire

PAUSES_SECONDS: Final = (0.1, 0.4)
"""Before the second and the third try, the last one."""
HINT_SECONDS_MAX: Final = 5.0
"""A `Retry-After` up to this long is waited for here; a longer one is the flow's to handle."""

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_OVERLOADED: Final = frozenset({429, 503})
_DOWN: Final = frozenset({502, 503, 504})
_HIDDEN: Final = "[secret]"
"""Stands for a host whose name is made of a secret."""
_HINT: Final = "security.allow_private in greentic.toml opens private addresses (not in prod)"


class GuardedCaller:
    """`actors.ports.HttpCaller`. Use it as an async context, or call `close`."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        clock: Clock,
        observer: Observer | None = None,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._backend = GuardedBackend(policy, resolver or SystemResolver())
        self._wire = Wire(self._backend, ssl_context)
        self._breaker = CircuitBreaker(clock.monotonic)
        self._lanes = Lanes(CONNECTIONS_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def policy(self) -> EgressPolicy:
        """What is allowed."""
        return self._backend.policy

    @policy.setter
    def policy(self, policy: EgressPolicy) -> None:
        """Put another policy in force, for connections from now on."""
        self._backend.policy = policy

    async def close(self) -> None:
        """Close idle connections; calls under way fail."""
        await self._wire.close()

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        """Send the request and read the answer; see `actors.ports.HttpCaller`."""
        began = self._clock.monotonic()
        CALLING_TENANT.set(tenant)
        outcome = "interrupted"
        try:
            async with self._enter(tenant, request.timeout_seconds):
                response = await self._follow(tenant, request, began + request.timeout_seconds)
            outcome = f"{response.status // 100}xx"
        except NodeError as error:
            outcome = error.reason
            raise
        else:
            return response
        finally:
            self._note_end(tenant, outcome, began)

    @asynccontextmanager
    async def _enter(self, tenant: str, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                await self._lanes.take(tenant)
        except TimeoutError as error:
            text = f"too many calls at once: no place within {seconds:g} s"
            raise TransientError(text, reason=NOT_CONNECTED) from error
        try:
            yield
        finally:
            self._lanes.give_back(tenant)

    async def _follow(self, tenant: str, request: HttpRequest, deadline: float) -> HttpResponse:
        following: HttpRequest | None = request
        while following is not None:
            target = self._find_target(tenant, following)
            response = await self._repeat(tenant, target, following, deadline)
            following = next_request(following, target, response)
        return response

    def _find_target(self, tenant: str, request: HttpRequest) -> Target:
        target = read_target(request.url)
        rule = self.policy.refuse_host(tenant, target.host)
        if rule is not None:
            raise self._refusal(tenant, rule)
        return target

    async def _repeat(
        self, tenant: str, target: Target, request: HttpRequest, deadline: float
    ) -> HttpResponse:
        """Try, and try again where that is safe and there is time."""
        for pause in (*PAUSES_SECONDS, None):
            left = deadline - self._clock.monotonic()
            outcome = await self._try(tenant, target, replace(request, timeout_seconds=left))
            wait = None if pause is None else self._pause_after(request, outcome, pause)
            left = deadline - self._clock.monotonic()
            if wait is None or wait >= left:
                break
            await self._clock.sleep(wait)
        if isinstance(outcome, NoAnswerError):
            raise TransientError(str(outcome), reason=outcome.reason) from outcome
        return outcome

    def _pause_after(
        self, request: HttpRequest, outcome: HttpResponse | NoAnswerError, pause: float
    ) -> float | None:
        """Tell how long to wait before the same request may be sent again; None: it may not."""
        is_idempotent = request.method in IDEMPOTENT
        if isinstance(outcome, NoAnswerError):
            return pause if is_idempotent or outcome.sent_nothing else None
        if not is_idempotent or outcome.status not in _OVERLOADED:
            return None
        hint = retry_after_seconds(outcome.headers, self._clock.now_ms())
        return hint if hint is not None and hint <= HINT_SECONDS_MAX else None

    async def _try(
        self, tenant: str, target: Target, request: HttpRequest
    ) -> HttpResponse | NoAnswerError:
        key = (tenant, target.host, target.port)
        self._ask_circuit(key)
        try:
            response = await self._send(target, request)
        except RefusedAddressError as error:
            self._breaker.abandoned(key)
            raise self._refusal(tenant, error.rule) from error
        except NoAnswerError as error:
            self._note_failure(key, request)
            return error
        except BaseException:
            self._breaker.abandoned(key)
            raise
        if response.status in _DOWN:
            self._note_failure(key, request)
        else:
            self._breaker.succeeded(key)
        return response

    async def _send(self, target: Target, request: HttpRequest) -> HttpResponse:
        """Send within the time that is left: a host that lets it pass has not answered."""
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._wire.send(target, request)
        except TimeoutError as error:
            text = "no answer within the time of the call"
            raise NoAnswerError(text, reason=TIMED_OUT) from error

    def _ask_circuit(self, key: Key) -> None:
        left = self._breaker.seconds_left(key)
        if left > 0:
            text = f"the host has not answered lately and is left alone for {left:.0f} s"
            raise TransientError(text, reason="http.circuit_open", retry_after_seconds=left)

    def _note_failure(self, key: Key, request: HttpRequest) -> None:
        if self._breaker.failed(key) and self._observer is not None:
            host = _HIDDEN if request.hides_host else key[1]
            self._observer.observe(CircuitOpened(key[0], host))

    def _note_end(self, tenant: str, outcome: str, began: float) -> None:
        if self._observer is not None:
            duration_ms = round((self._clock.monotonic() - began) * 1000)
            circuits = self._breaker.open_circuits
            self._observer.observe(CallEnded(tenant, outcome, duration_ms, circuits))

    def _refusal(self, tenant: str, rule: str) -> PermanentError:
        if self._observer is not None:
            self._observer.observe(CallRefused(tenant, rule))
        return PermanentError(f"the address is not called: {rule}; {_HINT}", reason=REFUSED)
