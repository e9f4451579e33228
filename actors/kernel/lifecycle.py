"""What a supervisor does to its children: start, restart, set aside, halt.

In: child records. Out: their new states; a failed start leaves its error in ``child.failure``, to
be judged like any crash. It refuses to decide anything: the supervisor does.
"""

import asyncio
from collections.abc import Iterable

from actors.kernel.child import Child
from actors.kernel.deadline import cancel_and_wait
from actors.kernel.observations import ActorRestarted, ActorStarted, ActorStopped
from actors.kernel.ports import KernelPorts


async def start_child(child: Child, ports: KernelPorts, *, is_restart: bool) -> None:
    """Start the child; never raises what the child raises."""
    child.failure = None
    child.state = "restarting"
    try:
        await child.unit.start()
    except Exception as error:  # noqa: BLE001  # the actor's edge: its error is a crash to judge
        child.failure = error
        return
    child.state = "running"
    if is_restart:
        child.restarts += 1
        ports.report(ActorRestarted(child.path, child.restarts))
    else:
        ports.report(ActorStarted(child.path))


async def restart_child(child: Child, ports: KernelPorts, *, delay_seconds: float) -> None:
    """Halt what is left of the child, wait, start it anew."""
    child.state = "restarting"
    await child.unit.halt()
    await ports.clock.sleep(delay_seconds)
    await start_child(child, ports, is_restart=True)


async def restart_together(
    children: Iterable[Child], ports: KernelPorts, *, delay_seconds: float
) -> None:
    """Halt all children in parallel, wait, start them one by one in their order."""
    group = tuple(children)
    await cancel_and_wait(child.operation for child in group)
    for child in group:
        child.state = "restarting"
    await halt_all(group)
    await ports.clock.sleep(delay_seconds)
    for child in group:
        if child.state == "restarting":  # not removed meanwhile
            await start_child(child, ports, is_restart=True)


async def quarantine_child(child: Child, ports: KernelPorts, *, retry_after_seconds: float) -> None:
    """Set the child aside, and try it again with a fresh budget when the time is over."""
    child.state = "quarantined"
    child.unit.suspend()
    await child.unit.halt()
    await ports.clock.sleep(retry_after_seconds)
    child.window.clear()
    child.unit.resume()
    await start_child(child, ports, is_restart=True)


async def end_child(child: Child, ports: KernelPorts) -> None:
    """Stop the child for good."""
    child.unit.close()
    await child.unit.halt()
    child.state = "stopped"
    ports.report(ActorStopped(child.path))


async def halt_all(children: Iterable[Child]) -> None:
    """Halt in parallel; each is bounded by its own stop timeout."""
    await asyncio.gather(*(child.unit.halt() for child in children))
