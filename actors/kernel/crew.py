"""The children of one supervisor, and the tasks at work on them.

In: child records and operations. Out: what holds for all children at once: messages refused or
taken, operations cancelled, everybody halted or drained in parallel. It refuses a name twice, and
decides nothing about crashes.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from actors.kernel.child import Child
from actors.kernel.deadline import cancel_and_wait, start_quietly
from actors.kernel.lifecycle import halt_all
from actors.kernel.unit import ChildSnapshot, DrainReport

T = TypeVar("T")


class Crew:
    """``on_done`` hears of every operation that ended: its task, and its child or None for all."""

    def __init__(
        self, path: str, on_done: Callable[[asyncio.Task[None], Child | None], None]
    ) -> None:
        self.path = path
        self.together: asyncio.Task[None] | None = None
        self._on_done = on_done
        self._children: dict[str, Child] = {}
        self._leaving: dict[asyncio.Task[Any], Child] = {}

    def __iter__(self) -> Iterator[Child]:
        """Give the children as they are now; the crew may change meanwhile."""
        return iter(tuple(self._children.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._children

    def __getitem__(self, name: str) -> Child:
        try:
            return self._children[name]
        except KeyError:
            raise LookupError(f"{self.path} has no child {name}") from None

    def join(self, child: Child) -> None:
        """Take a child in; its name must be free."""
        self._children[child.spec.name] = child

    def leave(self, name: str) -> Child:
        """Strike a child off; its name is free at once. LookupError if unknown."""
        child = self[name]
        del self._children[name]
        child.state = "stopped"
        return child

    # ── Tasks ─────────────────────────────────────────────────────────────────────────────────

    def operate(self, child: Child, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start the child's one operation."""
        task = start_quietly(work, name=f"operate {child.path}")
        child.operation = task

        def done(finished: asyncio.Task[None]) -> None:
            child.operation = None
            self._on_done(finished, child)

        task.add_done_callback(done)
        return task

    def operate_together(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the one operation on all children."""
        self.together = start_quietly(work, name=f"restart {self.path}")

        def done(finished: asyncio.Task[None]) -> None:
            self.together = None
            self._on_done(finished, None)

        self.together.add_done_callback(done)

    def see_off(self, child: Child, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start what ends a child that has left."""
        task = start_quietly(work, name=f"leave {child.path}")
        self._leaving[task] = child
        task.add_done_callback(self._leaving.pop)
        return task

    async def cancel_operations(self) -> None:
        """End every operation on the children."""
        await cancel_and_wait([self.together, *(child.operation for child in self)])

    # ── All at once ───────────────────────────────────────────────────────────────────────────

    async def halt(self) -> None:
        """Halt all children in parallel, those that are leaving too."""
        await self.cancel_operations()
        leaving = tuple(self._leaving.values())
        await cancel_and_wait(tuple(self._leaving))
        for child in leaving:
            child.unit.close()
        await halt_all((*self, *leaving))
        for child in self:
            child.state = "stopped"

    async def finish(self, timeout_seconds: float) -> DrainReport:
        """Refuse new messages and let all children finish in parallel."""
        await self.cancel_operations()
        reports = await asyncio.gather(*(child.unit.finish(timeout_seconds) for child in self))
        return sum(reports, DrainReport())

    def suspend(self) -> None:
        """Refuse messages for a while."""
        for child in self:
            child.unit.suspend()

    def resume(self) -> None:
        """Take messages again."""
        for child in self:
            child.unit.resume()

    def close(self) -> None:
        """Refuse messages for ever, answer every pending ask."""
        for child in self:
            child.unit.close()

    @property
    def depth(self) -> int:
        """Messages that wait for any of them."""
        return sum(child.unit.depth for child in self)

    def snapshots(self) -> tuple[ChildSnapshot, ...]:
        """Show the children in the order they joined."""
        return tuple(child.snapshot() for child in self)
