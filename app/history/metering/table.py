"""The Faust table of windows, and the agents that count into it.

In: the streams of run records, through `app.history.transport`, one process at a time and in the
order stored. Out: windows in the table, each change of which is in its changelog before the message
that caused it is acknowledged. Refuses nothing.

In memory are the hours of the last `HOT_HOURS`. The changelog keeps all of them, and one that is
not in memory is read there when a late record is counted. Faust's own expiry of windows is not
used: it remembers every single change until the window expires, and it deletes in memory only.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, cast

from faust import App, Stream
from faust.serializers.codecs import Codec
from faust.types import StreamT

from actors.ports import Clock
from app.control import names
from app.history.metering.durables import DURABLE
from app.history.metering.folding import ShardFold, ShardMessage
from app.history.metering.reading import UsageWindows
from app.history.metering.records import HOUR_MS
from app.history.metering.repeats import RUNS_REMEMBERED, Pages, ShardMemory
from app.history.metering.usage import Usage
from app.history.metering.windows import WindowPlace, decode_window, hour_of, parse_place
from app.history.projection.sources import RunSource
from app.history.transport.bindings import StreamBinding, bind
from app.observability.usage import FIGURES, OUTCOMES, TenantHour, UsageMeter

READER: Final = "usage"
ACK_PENDING_MAX: Final = 1000
ACK_WAIT_SECONDS: Final = 15.0
"""Also how long the next process waits for what was sent to one that stands still, connected."""
HOT_HOURS: Final = 48
TIDY_SECONDS: Final = 600.0

_SECOND_MS: Final = 1000
_HOUR_SECONDS: Final = HOUR_MS // _SECOND_MS

_WindowKey = tuple[tuple[str, str], tuple[float, float]]
"""As Faust names a value of a windowed table: the key, and the window's range in seconds."""


@dataclass(frozen=True, slots=True)
class MeteringPorts:
    """What metering works with."""

    windows: UsageWindows
    pages: Callable[[str], Pages]
    """Gives the messages of a stream, to look for records that were stored twice."""
    is_gone: Callable[[str], bool]
    """Tells whether a tenant was deleted: nothing is counted for it any more."""
    clock: Clock
    meter: UsageMeter
    runs_remembered: int = RUNS_REMEMBERED


class UsageMetering:
    """Metering, as a part of a Faust app (`HistoryPart`); each app has one of its own."""

    def __init__(self, ports: MeteringPorts) -> None:
        self._ports = ports
        self._kept: KeptWindows | None = None

    def register(self, app: App, sources: Sequence[RunSource]) -> None:
        """Add the table, and an agent for each stream."""
        kept = self._kept = KeptWindows(app, self._ports)
        self._ports.meter.show(kept.hour)
        for source in sources:
            self._add(app, source, kept)

    async def run(self) -> None:
        """Let go of what is old or a deleted tenant's, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            if self._kept is not None:
                await self._kept.tidy()

    def _add(self, app: App, source: RunSource, kept: "KeptWindows") -> None:
        name = source.topic(READER)
        topic = app.topic(name, value_type=bytes, value_serializer="raw", key_serializer="raw")
        binding = StreamBinding(
            stream=source.stream,
            durable=DURABLE,
            is_exclusive=True,
            ack_wait_seconds=ACK_WAIT_SECONDS,
            ack_pending_max=ACK_PENDING_MAX,
        )
        bind(app, name, binding)
        ports = self._ports
        memory = ShardMemory(ports.pages(source.stream), ports.runs_remembered)
        fold = ShardFold(memory, kept, ports.is_gone)

        async def count(stream: StreamT[bytes]) -> None:
            async for event in cast("Stream[bytes]", stream).noack().events():
                place = source.place_of(event)
                message = ShardMessage(
                    source.shard, place.sequence, place.subject, event.message.value or b""
                )
                counted = await fold.count(message)
                ports.meter.count(counted.added, counted.repeated)
                event.ack()

        app.agent(topic, name=name)(count)


class KeptWindows:
    """The table: see `app.history.metering.folding.Windows`."""

    def __init__(self, app: App, ports: MeteringPorts) -> None:
        self._app = app
        self._ports = ports
        codec = WindowKeyCodec()
        topic = app.topic(
            names.usage_topic(ports.windows.env),
            key_serializer=codec,
            value_serializer="raw",
            value_type=bytes,
            partitions=1,
            compacting=True,
            deleting=False,
            acks=False,
            internal=True,
            allow_empty=True,
        )
        table: Any = app.Table(
            "usage", value_type=bytes, partitions=1, changelog_topic=topic, on_recover=self._index
        )
        self._table = table
        self._table.key_serializer = codec
        self._windows: Any = table.tumbling(_HOUR_SECONDS)
        table.changelog_topic = topic  # which `tumbling` forgets
        self._hours: dict[int, set[WindowPlace]] = {}
        """Which windows are in memory, by their hour."""
        self._changed: set[WindowPlace] = set()
        """Since the last `tidy` began."""

    async def get(self, place: WindowPlace) -> bytes | None:
        """Give a window's value; one that is not in memory is looked for in the changelog."""
        value: bytes | None = self._table.get(_key_of(place))
        return await self._ports.windows.find(place) if value is None else value

    def put(self, place: WindowPlace, value: bytes) -> None:
        """Keep a window's value; call it in an agent."""
        flow, hour = _key_of(place)
        self._windows[flow][hour] = value
        self._hours.setdefault(place.start_ms, set()).add(place)
        self._changed.add(place)

    def hour(self) -> Mapping[str, TenantHour]:
        """Give what was used since the hour began, by tenant."""
        sums: dict[str, Usage] = {}
        for place in self._hours.get(hour_of(self._ports.clock.now_ms()), ()):
            value = self._table.data.get(_key_of(place))
            if value is not None and not self._ports.is_gone(place.tenant):
                sums.setdefault(place.tenant, Usage()).add(decode_window(value).usage)
        return {
            tenant: TenantHour(
                {name: getattr(usage, name) for name in FIGURES},
                {name: getattr(usage, name) for name in OUTCOMES},
            )
            for tenant, usage in sums.items()
        }

    async def tidy(self) -> None:
        """Let go, in memory, of hours that are old and of tenants that are gone.

        First all that was changed is in the changelog, where the next one to need it looks.
        """
        self._changed.clear()
        await self._app.producer.flush()
        self._let_go(self._changed)

    async def _index(self) -> None:
        """Note what was recovered from the changelog."""
        self._hours.clear()
        for key in self._table.data:
            place = _place_of(key)
            self._hours.setdefault(place.start_ms, set()).add(place)
        self._let_go(frozenset())

    def _let_go(self, kept: AbstractSet[WindowPlace]) -> None:
        oldest_ms = hour_of(self._ports.clock.now_ms()) - HOT_HOURS * HOUR_MS
        for start_ms, places in list(self._hours.items()):
            for place in list(places):
                is_old = start_ms < oldest_ms and place not in kept
                if is_old or self._ports.is_gone(place.tenant):
                    places.discard(place)
                    self._table.data.pop(_key_of(place), None)
            if not places:
                del self._hours[start_ms]


class WindowKeyCodec(Codec):
    """Keys of windows as `WindowPlace.as_key` writes them, so that their subjects can be read."""

    def _dumps(self, key: _WindowKey) -> bytes:
        return _place_of(key).as_key().encode("ascii")

    def _loads(self, data: bytes) -> _WindowKey:
        return _key_of(parse_place(data.decode("ascii")))


def _key_of(place: WindowPlace) -> _WindowKey:
    start = place.start_ms // _SECOND_MS
    # As Faust makes them: the end is the last moment of the window.
    return (place.tenant, place.flow), (float(start), start + _HOUR_SECONDS - 0.1)


def _place_of(key: _WindowKey) -> WindowPlace:
    (tenant, flow), (start, _) = key
    return WindowPlace(tenant, int(start) * _SECOND_MS, flow)
