"""The history's Faust app: made, embedded, and made anew when it fails.

In: where NATS is, an env, parts that register agents and tables. Out: their work goes on until
`stop`. Refuses nothing: while NATS is away, has no streams yet, or the app has failed, it is tried
again with growing pauses, and nothing was acknowledged that was not done.

The app is embedded: it gets no signals, no logging and no web server of its own, and it reads no
settings from the environment. An app that failed is not started again: its successor is a new one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from faust import App

from actors.errors import ActorsError
from app.bus.connection import BusSettings
from app.errors import AppError
from app.history.projection.broker import broker_of
from app.history.projection.reading import shard_of
from app.history.projection.sources import RunSource
from app.history.transport.driver import Transport
from app.observability.history import HistoryMeter

WAIT_SECONDS: Final = 1.0
"""Between two looks whether there are streams at all, and whether the app lives."""
STREAMS_SECONDS: Final = 30.0
"""Between two looks whether there are others."""
RETRY_FIRST_SECONDS: Final = 0.5
RETRY_SECONDS_MAX: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""An app that lived for so long begins again with the first pause."""
STOP_SECONDS: Final = 5.0
COMMIT_SECONDS: Final = 1.0
"""How long acknowledgements wait for others, at most: whoever is idle gives them at once."""
START_SECONDS: Final = 60.0
_DOUBLINGS_MAX: Final = 10

_log = structlog.get_logger("app.history")


class HistoryPart(Protocol):
    """What takes part in the app: the projection, the metering."""

    def register(self, app: App, sources: Sequence[RunSource], /) -> None:
        """Add agents, tables and bindings to an app that is not started yet."""
        ...

    async def run(self) -> None:
        """Do what goes on beside the app, until cancelled. What it raises ends the app."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Who the app is and where it works."""

    env: str
    bus: BusSettings
    name: str = "history"
    """Of an app that has tables one process has all topics, so those have an app of their own."""
    lease_seconds: int = 10
    """How long after the death of the process that has the tables another one takes over."""


class HistoryWorker:
    """One for each process with the history role. `run` it as a task; cancelling ends it."""

    def __init__(
        self,
        settings: WorkerSettings,
        parts: Callable[[], Sequence[HistoryPart]],
        streams: Callable[[], Awaitable[Sequence[str]]],
        meter: HistoryMeter,
    ) -> None:
        """``parts`` makes them anew for each app; ``streams`` names those of run records."""
        self._settings = settings
        self._parts = parts
        self._streams = streams
        self._meter = meter
        self._failures = 0
        self.is_working = False
        """Whether the app runs now."""

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - Faust's failures have no root of their own
                self._fail(error, is_first=loop.time() - began > STEADY_SECONDS)
            finally:
                self.is_working = False
            pause = RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, _DOUBLINGS_MAX)
            await asyncio.sleep(min(pause, RETRY_SECONDS_MAX))

    def _fail(self, error: Exception, *, is_first: bool) -> None:
        self._failures = 1 if is_first else self._failures + 1
        self._meter.fail("stream")
        is_ours = isinstance(error, AppError | ActorsError | OSError)
        reason = f"{type(error).__name__}: {error}"
        _log.warning(
            "history.interrupted",
            app=self._settings.name,
            reason=reason,
            exc_info=None if is_ours else error,
        )

    # ── One app ──────────────────────────────────────────────────────────────────────────────

    async def _session(self) -> None:
        """Make an app and let it work; raises what ended it."""
        sources = await self._sources()
        app = make_app(self._settings)
        parts = self._parts()
        for part in parts:
            part.register(app, sources)
        tasks = [asyncio.create_task(part.run(), name="history-part") for part in parts]
        try:
            async with asyncio.timeout(START_SECONDS):
                await app.start()
            self.is_working = True
            names = [source.stream for source in sources]
            _log.info("history.started", app=self._settings.name, streams=names)
            await self._watch(app, tasks, sources)
        finally:
            # First the app: what its agents are at may end, and is acknowledged.
            await stop_app(app)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _sources(self) -> Sequence[RunSource]:
        """Wait until there are streams of run records."""
        while True:
            found = [(name, shard_of(name)) for name in await self._streams()]
            if sources := [RunSource(name, shard) for name, shard in found if shard is not None]:
                return sources
            await asyncio.sleep(WAIT_SECONDS)

    async def _watch(
        self, app: App, tasks: Sequence[asyncio.Task[None]], sources: Sequence[RunSource]
    ) -> None:
        """Return when there are other streams than before; raises what ended the app or a part."""
        known = [source.stream for source in sources]
        clock = asyncio.get_running_loop().time
        look_at = clock() + STREAMS_SECONDS
        while True:
            done, _ = await asyncio.wait(
                tasks, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            if app.crashed or app.should_stop:
                raise app.crash_reason or RuntimeError("the app stopped by itself")
            if clock() < look_at:
                continue
            look_at = clock() + STREAMS_SECONDS
            with contextlib.suppress(AppError, ActorsError):
                if list(await self._streams()) != known:
                    _log.info("history.streams_changed")
                    return


class HistoryApp(App):
    """A Faust app that keeps nothing in folders: tables are in memory and in changelogs."""

    def _create_directories(self) -> None:
        """Make none."""

    def _new_transport(self) -> Transport:
        """Take ours, also where its entry point is not installed."""
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)


def make_app(settings: WorkerSettings) -> App:
    """Make an embedded app for an env, without anything in it."""
    broker = broker_of(settings.bus, settings.lease_seconds)
    return HistoryApp(
        f"greentic-{settings.name}-{settings.env}",
        broker=broker.urls,
        broker_credentials=broker.credentials,
        broker_client_id=f"{settings.bus.name}-{settings.name}",
        broker_commit_interval=COMMIT_SECONDS,
        env_prefix="GREENTIC_FAUST_",
        autodiscover=False,
        datadir="/nonexistent",
        store="memory://",
        stream_wait_empty=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )


async def stop_app(app: App) -> None:
    """Stop an app, however far it had started, within a bounded time."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await app.stop()
    except TimeoutError:
        _log.warning("history.stopped_late")
    except Exception as error:  # noqa: BLE001 - it is over; what failed in it was told
        _log.warning("history.stopped_badly", reason=f"{type(error).__name__}: {error}")
