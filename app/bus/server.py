"""The embedded nats-server: started or adopted, watched, restarted, stopped.

In: a data folder (DESIGN 1). Out: the `Endpoint` of a server whose JetStream answers, the same one
over restarts of the server and, where possible, of the program. Refuses a data folder that another
running program looks after.

How it dies: on Linux with the thread that started it (``PR_SET_PDEATHSIG``), so `start` must be
called from the main thread; on other systems a killed program leaves it running, and the next
`start` on the same folder adopts it. A server that dies while the program lives is started again
on its port and store, within a written budget.
"""

import asyncio
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.ports import Observer
from app.bus.server_folder import Endpoint, ServerFolder
from app.bus.server_process import (
    POLL_SECONDS,
    RunningServer,
    ServerSettings,
    is_answering,
    launch,
)
from app.errors import BusError

RESTARTS_MAX: Final = 5
RESTARTS_WINDOW_SECONDS: Final = 60.0
BACKOFF_FIRST_SECONDS: Final = 0.1
BACKOFF_MAX_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ServerDied:
    """The embedded server ended though nobody asked it to; it is started again."""

    pid: int
    restarts_left: int


@dataclass(frozen=True, slots=True)
class ServerRestarted:
    """The embedded server answers again, on its old port and store."""

    pid: int


@dataclass(frozen=True, slots=True)
class ServerGivenUp:
    """The embedded server died more often than its budget allows: a person must act."""

    reason: str


class RestartBudget:
    """At most ``restarts_max`` restarts within ``window_seconds``, with growing pauses."""

    def __init__(
        self,
        restarts_max: int = RESTARTS_MAX,
        window_seconds: float = RESTARTS_WINDOW_SECONDS,
    ) -> None:
        self._restarts_max = restarts_max
        self._window_seconds = window_seconds
        self._spent: deque[float] = deque()

    @property
    def restarts_left(self) -> int:
        """How many restarts the window still holds."""
        return self._restarts_max - len(self._spent)

    def spend(self, now: float) -> float | None:
        """Take one restart at monotonic ``now`` (seconds): give the pause before it, or None."""
        while self._spent and now - self._spent[0] >= self._window_seconds:
            self._spent.popleft()
        if self.restarts_left < 1:
            return None
        pause = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** len(self._spent))
        self._spent.append(now)
        return float(pause)


class EmbeddedServer:
    """A nats-server of our own on loopback, with its store and credentials in a data folder."""

    def __init__(
        self,
        data_dir: Path,
        settings: ServerSettings | None = None,
        *,
        observer: Observer | None = None,
    ) -> None:
        self._folder = ServerFolder(data_dir.absolute())
        self._settings = settings or ServerSettings()
        self._observer = observer
        self._owner_lock: int | None = None
        self._server: RunningServer | None = None
        self._watcher: asyncio.Task[BusError] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where the server listens and how to log in; BusError before `start`."""
        return self._running().endpoint

    @property
    def tenants_path(self) -> Path:
        """Where the server reads tenants' accounts from when it is told to."""
        return self._folder.tenants_path

    @property
    def is_adopted(self) -> bool:
        """Tell whether the server had been left running by an earlier program."""
        return self._running().is_adopted

    async def start(self) -> Endpoint:
        """Start or adopt the server and give its endpoint once JetStream answers.

        BusError: another running program has this data folder, the binary is absent, or the server
        did not come up (the error shows the end of its log).
        """
        if self._owner_lock is not None:
            raise BusError("the embedded nats-server is already started")
        self._folder.prepare()
        self._owner_lock = self._folder.take_owner_lock()
        if self._owner_lock is None:
            raise BusError(
                f"another running program uses the data folder {self._folder.data_dir}:"
                " stop it, or choose another folder"
            )
        try:
            self._server = await self._adopt() or await launch(self._folder, self._settings)
        except BaseException:
            self._release()
            raise
        self._watcher = asyncio.create_task(self._watch(RestartBudget()), name="nats-server-watch")
        return self._server.endpoint

    async def stop(self) -> None:
        """Stop the server: SIGTERM, a bounded wait, SIGKILL. The store and its port are kept."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        if self._server is not None:
            await self._server.stop(self._settings.stop_seconds)
            self._server = None
            self._folder.forget_process()
        self._release()

    async def wait_given_up(self) -> BusError:
        """Wait until the restart budget is spent and give the reason; else for ever."""
        if self._watcher is None:
            raise BusError("the embedded nats-server is not started")
        return await asyncio.shield(self._watcher)

    def _running(self) -> RunningServer:
        if self._server is None:
            raise BusError("the embedded nats-server is not started")
        return self._server

    def _release(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None

    async def _adopt(self) -> RunningServer | None:
        """Take over the server that holds the store; None once nobody holds it."""
        for _ in range(max(1, int(self._settings.ready_seconds / POLL_SECONDS))):
            lock = self._folder.take_store_lock()
            if lock is not None:
                os.close(lock)
                return None
            known = self._folder.read_endpoint()
            if known is not None and known.pid and await is_answering(known):
                running = RunningServer(known, None)
                if self._folder.has_accounts():
                    return running
                await running.stop(self._settings.stop_seconds)  # an earlier version's
            await asyncio.sleep(POLL_SECONDS)  # it is starting, or on its way out
        raise BusError(
            f"a nats-server has the store in {self._folder.store_dir} but does not answer to the"
            f" credentials in {self._folder.endpoint_path}: stop that server"
        )

    async def _watch(self, budget: RestartBudget) -> BusError:
        """Keep the server running; ends only with the reason why it cannot be kept."""
        loop = asyncio.get_running_loop()
        failure = BusError("the embedded nats-server died too often")
        while True:
            server = self._running()
            await server.wait_ended()
            pause = budget.spend(loop.time())
            if pause is None:
                self._observe(ServerGivenUp(str(failure)))
                return failure
            self._observe(ServerDied(server.endpoint.pid, budget.restarts_left))
            await asyncio.sleep(pause)
            try:
                self._server = await launch(self._folder, self._settings, keep_port=True)
            except BusError as error:
                failure = error
                continue
            self._observe(ServerRestarted(self._server.endpoint.pid))

    def _observe(self, observation: object) -> None:
        if self._observer is not None:
            self._observer.observe(observation)
