"""What lies between a worker and everything it talks to: time, loss and silence.

In: calls of a worker, to be carried out elsewhere. Out: their answers, if they come. Once a worker
is dead nothing it does has any effect; what it had sent before arrives all the same.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from actors.errors import UnavailableError
from tests.simulation.faults import CallFault, LifeFaults, Weather
from tests.simulation.loop import Process, SimulatedLoop

T = TypeVar("T")

LATENCY_SECONDS: Final = 0.002
CLIENT_TIMEOUT_SECONDS: Final = 5.0
"""How long a client of the bus insists before it says that the bus is unavailable."""

Strike = Callable[[CallFault], None]


class Line:
    """One worker's connections, for one life of it. ``strike`` makes the worker die or freeze."""

    def __init__(
        self, loop: SimulatedLoop, process: Process, weather: Weather, strike: Strike
    ) -> None:
        self.loop = loop
        self.process = process
        self._weather = weather
        self._faults = LifeFaults(weather)
        self._strike = strike

    @property
    def is_connected(self) -> bool:
        """Whether the client believes that it is."""
        return not self._weather.is_noticed(self.loop.time())

    def ask(self, apply: Callable[[], T]) -> "asyncio.Future[T]":
        """Have the bus do something; the future fails with UnavailableError if nobody answers."""
        return self._send(apply, on_bus=True)

    def call(self, apply: Callable[[], T], seconds: float = 0.0) -> "asyncio.Future[T]":
        """Call somebody who is not the bus, and who takes ``seconds`` to answer."""
        return self._send(apply, on_bus=False, seconds=seconds)

    def tell(self, apply: Callable[[], object]) -> None:
        """Send something that nobody answers; it may be lost."""
        now = self.loop.time()
        if not self.process.is_dead and not self._faults.loses_message(now):
            self.loop.call_later_in(self.loop.world, self._latency(), apply)

    def hear(
        self, seconds: float, answer: "asyncio.Future[Any]", value: Any, error: Exception | None
    ) -> None:
        """Let an answer come in after some seconds, if the worker still lives."""
        if not self.process.is_dead:
            self.loop.call_later_in(self.process, seconds, _resolve, answer, value, error)

    def bring(self, callback: Callable[..., object], *args: Any) -> None:
        """Have something come in at the worker that it did not ask for just now."""
        if not self.process.is_dead:
            self.loop.call_later_in(self.process, self._latency(), callback, *args)

    def _send(
        self, apply: Callable[[], T], *, on_bus: bool, seconds: float = 0.0
    ) -> "asyncio.Future[T]":
        answer: asyncio.Future[T] = self.loop.create_future()
        if self.process.is_dead:
            return answer
        fault = self._faults.next_call(self.loop.time(), on_bus=on_bus)
        if fault is CallFault.LOSE_REQUEST:
            self.hear(CLIENT_TIMEOUT_SECONDS, answer, None, _away())
            return answer
        if fault is not CallFault.DIE_UNSENT:
            self.loop.call_later_in(
                self.loop.world, self._latency(), self._arrive, apply, answer, fault, seconds
            )
        self._strike(fault)
        return answer

    def _arrive(
        self,
        apply: Callable[[], T],
        answer: "asyncio.Future[T]",
        fault: CallFault,
        seconds: float,
    ) -> None:
        value: T | None = None
        error: Exception | None = None
        try:
            value = apply()
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        if fault is CallFault.LOSE_ANSWER:
            self.hear(CLIENT_TIMEOUT_SECONDS, answer, None, _away())
        else:
            self.hear(seconds + self._latency(), answer, value, error)

    def _latency(self) -> float:
        return LATENCY_SECONDS * (0.5 + self._weather.random.random())


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of a twin, which never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise RuntimeError("a twin waited")


def _resolve(answer: "asyncio.Future[Any]", value: Any, error: Exception | None) -> None:
    if answer.done():
        return  # whoever asked waits no more
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)


def _away() -> UnavailableError:
    return UnavailableError("the bus is away")
