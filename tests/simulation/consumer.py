"""The tenant's durable consumer at the server: who is handed what, and when it comes again.

In: pulls of workers, what the stream holds. Out: deliveries, to any worker that waits; one that is
neither settled nor kept alive comes again when its ack wait is over, to the same or another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.testing.deliveries import MemoryDelivery
from tests.simulation.faults import ACK_WAIT_SECONDS, Weather
from tests.simulation.loop import Process
from tests.simulation.network import Line
from tests.simulation.world import Cluster, Kind

PULL_SECONDS: Final = 10.0
"""How long a pull waits; then its worker asks again."""

_MIX_CHANCE: Final = 0.1


Take = Callable[[list[MemoryDelivery], float], None]
"""Is given deliveries, and when they came in at its process."""


@dataclass(frozen=True, slots=True)
class _Pull:
    line: Line
    take: Take
    messages_max: int
    expires: float


class Consumer:
    """Hands out what is in the stream."""

    def __init__(self, cluster: Cluster, weather: Weather) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._weather = weather
        self._pulls: list[_Pull] = []
        self._known: dict[str, int] = {}
        self._is_waiting = False
        cluster.on_arrival = self.serve

    def connect(self, process: Process) -> None:
        """Take note of what was stored before a worker connected."""
        self._known[process.name] = self._cluster.stream.last_sequence

    def known_sequence(self, process: Process) -> int:
        """Give the last sequence stored before the worker's connection was made."""
        return max(self._known[process.name], self.restart_sequence)

    @property
    def restart_sequence(self) -> int:
        """Of what was stored when every connection was made anew last."""
        return self._cluster.stream.restart_sequence

    def note(self, kind: Kind, process: Process, delivery: MemoryDelivery, value: object) -> None:
        """Put into the history what became of a delivery."""
        run = "" if delivery.continuation is None else delivery.continuation.run_id
        what = f"#{delivery.sequence} {delivery.event.id}"
        self._cluster.history.note(kind, run, process.name, what, value)

    def ask(self, line: Line, take: Take, messages_max: int) -> None:
        """Take note of a pull; a worker has one at a time."""
        self.hang_up(line.process)
        expires = self._loop.time() + PULL_SECONDS
        self._pulls.append(_Pull(line, take, messages_max, expires))
        self.serve()

    def hang_up(self, process: Process) -> None:
        """Forget a worker's pull."""
        self._pulls = [pull for pull in self._pulls if pull.line.process is not process]

    def serve(self) -> None:
        """Hand out what there is, to whoever waits."""
        now, stream = self._loop.time(), self._cluster.stream
        if self._weather.is_down(now):
            self._serve_later(0.5)
            return
        self._pulls = [pull for pull in self._pulls if pull.expires > now]
        while stream.is_waiting and self._pulls:
            random = self._weather.random
            if not self._weather.is_calm(now) and random.random() < _MIX_CHANCE:
                stream.mix(random.random)
            pull = self._pulls.pop(random.randrange(len(self._pulls)))
            taken = stream.take(random.choice((1, 2, pull.messages_max)))
            if not taken:
                return
            for delivery in taken:
                self.note("deliver", pull.line.process, delivery, delivery.num_delivered)
                self._look_later(ACK_WAIT_SECONDS, delivery)
            pull.line.bring(pull.take, taken, now)

    def _serve_later(self, seconds: float) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._loop.call_later_in(self._loop.world, seconds, self._serve_now)

    def _serve_now(self) -> None:
        self._is_waiting = False
        self.serve()

    def _look_later(self, seconds: float, delivery: MemoryDelivery) -> None:
        self._loop.call_later_in(self._loop.world, seconds, self._look, delivery)

    def _look(self, delivery: MemoryDelivery) -> None:
        left = self._cluster.stream.expire(delivery)
        if left is not None:
            self._look_later(left, delivery)
        self.serve()
