"""An actor as a `mode.Service`: the loop that feeds it, and how it ends.

In: an actor and its mailbox. Out: `ending`, once the actor is over: returned, or crashed with an
error. It refuses to take another message after a stop or a crash, whatever the actor does with its
cancellation.

mode gives the life cycle: start, stop, background tasks whose errors crash the service, and the
beacon tree. Three things of mode are replaced here: its crash handling, which logs and walks up the
tree (the supervisor is told instead); the order of stopping (an actor's `on_stop` runs after its
loop has ended, not before); and a loop cancelled from outside, which mode takes for a quiet end.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mode.services import Service
from mode.types.supervisors import SupervisorStrategyT
from mode.utils.types.trees import NodeT

from actors.errors import ActorStoppedError
from actors.kernel.actor import Actor
from actors.kernel.mailbox import Mailbox

M = TypeVar("M")

MESSAGES_PER_TURN_MAX = 64
"""Messages handled in a row before other tasks get the event loop."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a service ended. ``error`` is None when it returned normally."""

    error: BaseException | None


class ActorService(Service, Generic[M]):
    """Runs one incarnation of an actor; a restart builds a new one."""

    mundane_level = "debug"

    def __init__(
        self,
        actor: Actor[M],
        mailbox: Mailbox[M],
        *,
        supervisor: SupervisorStrategyT | None = None,
        beacon: NodeT[Any] | None = None,
    ) -> None:
        super().__init__(beacon=beacon)  # type: ignore[arg-type]  # mode's default is None too
        self.supervisor = supervisor
        self._actor = actor
        self._mailbox = mailbox
        self._has_begun = False
        self._is_finishing = False
        self._is_draining = False
        self._work: set[asyncio.Future[None]] = set()
        self.turns = 0
        """How often it has taken messages; the same again after a while: none came."""
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        actor.attach(self)

    @property
    def ending(self) -> Ending | None:
        """How the actor ended; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    @property
    def is_at_rest(self) -> bool:
        """Whether the actor waits for messages and has nothing in hand."""
        return self._mailbox.has_idle_reader and self._actor.is_idle

    async def wait_ended(self) -> Ending:
        """Wait until the actor has returned or crashed."""
        return await asyncio.shield(self._ended)

    def finish(self) -> None:
        """End the loop after the message in hand."""
        self._is_finishing = True

    def retire(self) -> None:
        """End the loop of an actor at rest, for good; the mailbox stays open."""
        self._is_finishing = True
        self._mailbox.dismiss_reader()

    def drain(self) -> None:
        """Close the mailbox; the actor ends when it has handled what is inside."""
        self._is_draining = True
        self._mailbox.close()

    def add_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        """Run work beside the loop; an error in it crashes the actor."""
        task: asyncio.Future[None] = self.add_future(self._guard(work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    @property
    def tasks_running(self) -> int:
        """Count the work added that is not over."""
        return len(self._work)

    async def wait_tasks(self) -> None:
        """Wait until all work added is over."""
        while self._work:
            await asyncio.wait(self._work)

    # ── mode's life cycle ─────────────────────────────────────────────────────────────────────

    async def on_start(self) -> None:
        """Let the actor get ready."""
        self._has_begun = True
        await self._actor.on_start()

    @Service.task
    async def _run(self) -> None:
        try:
            await self._feed()
            if self.should_stop:
                return
            if self._is_draining:
                await self._actor.on_drain()
            elif not self._is_finishing:
                # The mailbox was closed ahead of a stop: that is no end of the actor's own.
                await self._stopped.wait()
                return
        except asyncio.CancelledError as error:
            if self.should_stop:
                raise
            # mode would end the task in silence, and the actor would only look alive.
            cancelled = ActorStoppedError("the actor was cancelled from outside its supervisor")
            cancelled.__cause__ = error
            await self.crash(cancelled)
        except Exception as error:  # noqa: BLE001  # the actor's edge; mode lets some errors pass
            await self.crash(error)
        else:
            self._end(None)

    async def crash(self, reason: BaseException) -> None:
        """Take note of a crash and tell the supervisor, nobody else."""
        self._crash(reason)
        self._end(reason)

    async def on_shutdown(self) -> None:
        """Let the actor release what it took, now that its loop has ended."""
        if self._has_begun:
            self._has_begun = False
            await self._actor.on_stop()

    # ── The loop ──────────────────────────────────────────────────────────────────────────────

    async def _feed(self) -> None:
        takes_batches = type(self._actor).receive_many is not Actor.receive_many
        feed_turn = self._feed_batch if takes_batches else self._feed_singly
        while await self._mailbox.wait_message():
            self.turns += 1
            await feed_turn()
            if self.should_stop or self._is_finishing:
                return
            if self._mailbox.depth:
                await asyncio.sleep(0)

    async def _feed_singly(self) -> None:
        # One message leaves the mailbox at a time, so a crash loses only the one in hand.
        mailbox, receive = self._mailbox, self._actor.receive
        for _ in range(min(mailbox.depth, MESSAGES_PER_TURN_MAX)):
            await receive(mailbox.take_one_nowait())
            if self._is_finishing or self.should_stop:
                return

    async def _feed_batch(self) -> None:
        await self._actor.receive_many(self._mailbox.take_nowait(self._actor.batch_max))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # the actor's edge, like its loop
            await self.crash(error)

    def _end(self, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result(Ending(error))
        if self.supervisor is not None:
            self.supervisor.wakeup()
