"""A scripted actor and a tree on a virtual clock, for tests of the kernel."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actors.kernel.actor import Actor
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef, Reply
from actors.kernel.specs import AnySpec, ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.testing.clock import VirtualClock

T = TypeVar("T")


class Boom(Exception):  # noqa: N818
    """What a scripted actor raises."""

    code = "test.boom"


@dataclass
class Life:
    """What one scripted actor lived through, over all its incarnations."""

    built: int = 0
    started: int = 0
    drained: int = 0
    stopped: int = 0
    handled: list[object] = field(default_factory=list)
    fail_starts: int = 0
    fail_stops: int = 0
    hang_starts: int = 0
    order: list[str] | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)


class Probe(Actor[object]):
    """Does what its messages say."""

    def __init__(self, life: Life, name: str = "probe") -> None:
        life.built += 1
        self.life = life
        self.name = name

    async def on_start(self) -> None:
        self.life.started += 1
        if self.life.order is not None:
            self.life.order.append(self.name)
        if self.life.hang_starts:
            self.life.hang_starts -= 1
            await asyncio.Event().wait()
        if self.life.fail_starts:
            self.life.fail_starts -= 1
            raise Boom("start")

    async def receive(self, message: object) -> None:
        match message:
            case "crash":
                raise Boom("receive")
            case "finish":
                self.finish()
            case "cancelled":
                raise asyncio.CancelledError
            case "hang":
                await self.life.gate.wait()
            case "swallow":
                while not self.life.gate.is_set():
                    try:
                        await self.life.gate.wait()
                    except asyncio.CancelledError:
                        continue
            case Reply():
                message.answer(len(self.life.handled))
            case _ if callable(message):
                await message(self)
            case _:
                pass
        self.life.handled.append(message)

    async def on_drain(self) -> None:
        self.life.drained += 1

    async def on_stop(self) -> None:
        self.life.stopped += 1
        if self.life.fail_stops:
            self.life.fail_stops -= 1
            raise Boom("stop")


@dataclass
class World:
    """Clock, ears and the trees grown in a test."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    seen: list[Any] = field(default_factory=list)
    lives: dict[str, Life] = field(default_factory=dict)
    roots: list[Supervisor] = field(default_factory=list)

    @property
    def ports(self) -> KernelPorts:
        return KernelPorts(self.clock, lambda: 0.0, self.seen.append)

    def child(self, name: str, life: Life | None = None, **fields: Any) -> ChildSpec[object]:
        mine = self.lives.setdefault(name, life or Life())
        return ChildSpec(name, lambda _: Probe(mine, name), **fields)

    async def grow(self, *children: AnySpec, **fields: Any) -> Supervisor:
        root = Supervisor(SupervisorSpec("root", children=children, **fields), self.ports)
        self.roots.append(root)
        await root.start()
        return root

    async def felled(self) -> None:
        for life in self.lives.values():
            life.gate.set()
        for root in self.roots:
            stopping = asyncio.ensure_future(root.stop())
            await self.clock.advance(120)
            await stopping
        await self.clock.settle()

    async def until(self, work: "asyncio.Future[T]", seconds: float = 120) -> T:
        await self.clock.advance(seconds)
        assert work.done()
        return await work

    def seen_of(self, kind: Callable[..., T]) -> list[T]:
        return [fact for fact in self.seen if type(fact) is kind]


def ask_count(ref: ActorRef[object], timeout_seconds: float = 5) -> "asyncio.Future[int]":
    def build(reply: Reply[int]) -> object:
        return reply

    return asyncio.ensure_future(ref.ask(build, timeout_seconds=timeout_seconds))


def states(supervisor: Supervisor) -> dict[str, str]:
    """Name and state of each child."""
    return {child.name: child.state for child in supervisor.children()}
