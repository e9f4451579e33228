"""Deaths, stand-stills and a world outside that misbehaves, at seeded random moments.

In: a scene. Out: what was done, counted there. Every fault undoes itself at its end.
"""

import asyncio
import signal
import time
from typing import Final

from tests.faults.scene import SETTLE_SECONDS, Scene

KILL_PAUSE_SECONDS: Final = (0.4, 2.4)
"""Between two kills: long enough that work is done at all, short enough to hit starting members."""
SERVER_PAUSE_SECONDS: Final = (1.0, 5.0)
SERVER_DEAD_SECONDS: Final = (0.0, 2.0)
LANE_PAUSE_SECONDS: Final = (1.0, 6.0)
SLEEP_PAUSE_SECONDS: Final = (5.0, 30.0)
FREEZE_SECONDS: Final = 40.0
"""Past ack_wait (30 s): what the frozen worker had is given to another one meanwhile."""
MOOD_SECONDS: Final = 15.0


# ── Deaths ───────────────────────────────────────────────────────────────────────────────────


async def kill_workers(scene: Scene) -> None:
    """SIGKILL one worker after the other, starting ones too."""
    while scene.done["worker kills"] < scene.amount:
        await scene.pause(KILL_PAUSE_SECONDS)
        if scene.chance.choice(scene.cluster.workers).kill():
            scene.done["worker kills"] += 1
            if scene.done["worker kills"] % 20 == 0:
                scene.say(f"{scene.done['worker kills']} of {scene.amount} workers killed")


async def kill_ingress(scene: Scene) -> None:
    """SIGKILL the processes that take events in."""
    while scene.done["ingress kills"] < scene.amount:
        await scene.pause(KILL_PAUSE_SECONDS)
        scene.done["ingress kills"] += scene.chance.choice(scene.cluster.ingresses).kill()


async def kill_server(scene: Scene) -> None:
    """SIGKILL nats-server and start it again on its store."""
    for _ in range(scene.amount):
        await scene.pause(SERVER_PAUSE_SECONDS)
        await bounce_server(scene)


async def kill_both(scene: Scene) -> None:
    """SIGKILL the server and one or all workers in the same moment."""
    for _ in range(scene.amount):
        await scene.pause(SERVER_PAUSE_SECONDS)
        workers = scene.cluster.workers
        victims = workers if scene.chance.random() < 0.5 else [scene.chance.choice(workers)]
        scene.done["worker kills"] += sum(worker.kill() for worker in victims)
        await bounce_server(scene)


async def bounce_server(scene: Scene) -> None:
    """SIGKILL the server, let it be dead for a moment, start it again."""
    await scene.cluster.kill_nats()
    await scene.pause(SERVER_DEAD_SECONDS)
    seconds = await scene.cluster.revive_nats()
    scene.done["server kills"] += 1
    scene.say(f"server killed ({scene.done['server kills']}), answered after {seconds:.1f} s")


async def freeze_worker(scene: Scene) -> None:
    """SIGSTOP a worker for longer than ack_wait, and let it go on with what it held."""
    for _ in range(scene.amount):
        await scene.pause((1.0, 3.0))
        worker = scene.chance.choice(scene.cluster.workers)
        worker.send(signal.SIGSTOP)
        scene.say(f"{worker.name} stands still for {FREEZE_SECONDS:.0f} s")
        await asyncio.sleep(FREEZE_SECONDS)
        worker.send(signal.SIGCONT)
        scene.done["freezes"] += 1
        await asyncio.sleep(SETTLE_SECONDS)


# ── The world outside ────────────────────────────────────────────────────────────────────────


async def slow_targets(scene: Scene) -> None:
    """Let the service and the mail server answer slowly."""
    for _ in range(scene.amount):
        await scene.outside.set_mood(slow_ms=scene.chance.randint(1000, 4000))
        await asyncio.sleep(MOOD_SECONDS)
        await scene.outside.set_mood()
        scene.done["slow spells"] += 1
        await asyncio.sleep(SETTLE_SECONDS)


async def reset_connections(scene: Scene) -> None:
    """Break connections in the middle of answers: the call was heard, and nobody can tell."""
    for number in range(scene.amount):
        share = scene.chance.uniform(0.1, 0.5)
        await scene.outside.set_mood(reset_share=share, seed=scene.chance.randint(0, 1 << 30))
        scene.say(f"a share of {share:.2f} of the answers breaks off")
        await asyncio.sleep(MOOD_SECONDS)
        await scene.outside.set_mood()
        scene.done["spells of resets"] = number + 1
        await asyncio.sleep(SETTLE_SECONDS)


async def disturb_lanes(scene: Scene) -> None:
    """Kill workers, the one that has the lanes among them, and now and then the server."""
    for number in range(scene.amount):
        await scene.pause(LANE_PAUSE_SECONDS)
        if number % 5 == 4:
            await bounce_server(scene)
        else:
            scene.done["worker kills"] += scene.chance.choice(scene.cluster.workers).kill()


async def disturb_sleep(scene: Scene) -> None:
    """For ``amount`` seconds: restart workers and the server in every way while runs sleep."""
    until = time.monotonic() + scene.amount
    while time.monotonic() < until:
        await scene.pause(SLEEP_PAUSE_SECONDS)
        worker = scene.chance.choice(scene.cluster.workers)
        match scene.chance.choice(("kill", "restart", "server")):
            case "kill":
                scene.done["worker kills"] += worker.kill()
            case "restart":
                worker.restart()
                scene.done["worker restarts"] += 1
            case _:
                await bounce_server(scene)


async def strike_all(scene: Scene) -> None:
    """A little of everything that needs no special machine, in half a minute: the short form."""
    await scene.pause(KILL_PAUSE_SECONDS)
    await scene.outside.set_mood(reset_share=0.2, seed=scene.chance.randint(0, 1 << 30))
    for _ in range(2):
        scene.done["worker kills"] += scene.chance.choice(scene.cluster.workers).kill()
        await scene.pause(KILL_PAUSE_SECONDS)
    await bounce_server(scene)
    await scene.pause(KILL_PAUSE_SECONDS)
    await scene.outside.set_mood()
