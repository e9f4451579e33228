"""Script processes for real: the same outcomes as on the loop, limits that hold, ends that end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError, UnavailableError
from actors.nodes.resources import FlowResources
from actors.observations import ScriptPooled, ScriptProcessLost
from actors.ports import ScriptCall, ScriptResult, ScriptText
from actors.testing.observer import RecordingObserver
from app.worker import script_process
from app.worker.script_pool import MIB, ScriptProcessPool, processes_default
from grammar import BudgetExceededError, EvaluationError, Limits, SourceText, compile_functions
from tests.support.scripts import MORE, OUTCOMES, on_the_loop, outcome_of
from tests.support.steps import Stage, a_plan

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = compile_functions("fn twice(x) { x * 2 }\nfn fails(x) { x + () }", name="scripts/f.rhai")
SECONDS_MAX = 20

LONG = "let n = 0; loop { n += 1; }"
"""It ends by its limits alone."""

BOMB = "\n".join(
    [
        "fn fill(n) {",
        *(f'let s{i} = "{i % 10}"; for j in 0..17 {{ s{i} += s{i}; }}' for i in range(140)),
        "let below = 0; if n < 58 { below = fill(n + 1); }",
        "below + s0.len() }",
        "fill(0)",
    ]
)
"""It keeps 18 MB at each of 58 levels."""


def a_call(text: str, tenant: str = "demo", **fields: Any) -> ScriptCall:
    limits = Limits(operations=50_000_000, wall_ms=fields.pop("wall_ms", 5_000))
    script = ScriptText.of(SourceText("s", text))
    return ScriptCall(tenant, script, fields.pop("scope", {}), limits, **fields)


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
async def pool(observer: RecordingObserver) -> AsyncIterator[ScriptProcessPool]:
    pool = ScriptProcessPool(observer, processes=2)
    yield pool
    await pool.close()
    assert pool.pids == frozenset()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def the_pid(pool: ScriptProcessPool) -> int:
    (pid,) = pool.pids
    return pid


# ── The same as on the loop ──────────────────────────────────────────────────────────────────


async def test_scripts_come_to_the_same_in_a_process(pool: ScriptProcessPool) -> None:
    resources = FlowResources(library=LIBRARY)
    different = {}
    for text in OUTCOMES:
        pooled = a_plan("script", {"script": text}, resources, script_limits=MORE)
        here = await outcome_of(on_the_loop(text, resources), Stage())
        there = await outcome_of(pooled, Stage(scripts=pool))
        if here != there:
            different[text] = (here, there)
    assert not different
    assert len(pool.pids) == 1


async def test_an_error_has_its_place_hint_and_caret(pool: ScriptProcessPool) -> None:
    script = ScriptText.of(
        SourceText("s", "twcie(1)"), (SourceText("scripts/f.rhai", "fn twice(x) { x + () }"),)
    )
    with pytest.raises(EvaluationError) as caught:
        await pool.run(ScriptCall("demo", script, {}, MORE))
    assert caught.value.hint is not None
    assert "did you mean `twice`?" in caught.value.hint
    assert "twcie(1)\n" in caught.value.render()
    assert "^" in caught.value.render()


async def test_an_error_in_a_shared_text_shows_that_text(pool: ScriptProcessPool) -> None:
    script = ScriptText.of(
        SourceText("s", "twice(1)"), (SourceText("scripts/f.rhai", "fn twice(x) { x + () }"),)
    )
    with pytest.raises(EvaluationError) as caught:
        await pool.run(ScriptCall("demo", script, {}, MORE))
    assert "--> scripts/f.rhai:1:" in caught.value.render()


# ── Limits ───────────────────────────────────────────────────────────────────────────────────


async def test_a_script_stops_by_itself_at_its_limit_while_the_loop_turns(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    await pool.run(a_call("1"))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    turning = asyncio.create_task(turn())
    with pytest.raises(BudgetExceededError) as caught:
        await pool.run(a_call(LONG, wall_ms=300))
    turning.cancel()
    assert caught.value.kind == "limit_time"
    assert caught.value.span is not None, "it stopped by itself and tells where"
    assert turns > 50, "a held loop would not have turned at all"
    assert observer.of(ScriptProcessLost) == []


async def test_operations_are_limited_in_a_process_too(pool: ScriptProcessPool) -> None:
    script = ScriptText.of(SourceText("s", LONG))
    with pytest.raises(BudgetExceededError) as caught:
        await pool.run(ScriptCall("demo", script, {}, Limits(operations=200_000, wall_ms=5_000)))
    assert caught.value.kind == "limit_operations"


async def test_a_process_that_overruns_is_killed_and_replaced(
    pool: ScriptProcessPool, observer: RecordingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.run(a_call("1"))
    first = the_pid(pool)
    monkeypatch.setattr(script_process, "OVERRUN_SECONDS_MAX", 0.1)
    os.kill(first, signal.SIGSTOP)  # the hardest way to overrun: it does not run at all
    with pytest.raises(BudgetExceededError) as caught:
        await pool.run(a_call("1", wall_ms=50))
    assert (caught.value.kind, caught.value.span) == ("limit_time", None)
    (lost,) = observer.of(ScriptProcessLost)
    assert (lost.how, lost.pid) == ("overran", first)
    await until(lambda: is_gone(first))
    monkeypatch.undo()
    assert await pool.run(a_call("2")) == ScriptResult(2)
    assert the_pid(pool) != first


async def test_a_memory_bomb_is_a_limit_and_its_process_is_replaced(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    await pool.run(a_call("1"))
    first = the_pid(pool)
    with pytest.raises(BudgetExceededError) as caught:
        await pool.run(a_call(BOMB, wall_ms=10_000))
    assert caught.value.kind == "limit_memory"
    assert [lost.how for lost in observer.of(ScriptProcessLost)] == ["memory"]
    assert await pool.run(a_call("2")) == ScriptResult(2)
    assert the_pid(pool) != first


async def test_a_small_memory_is_kept_to(observer: RecordingObserver) -> None:
    pool = ScriptProcessPool(observer, processes=1, memory_bytes=128 * MIB)
    with pytest.raises(BudgetExceededError, match="128 MiB"):
        await pool.run(a_call(BOMB, wall_ms=10_000))
    await pool.close()


async def test_a_scope_that_is_too_large_to_cross_is_refused(pool: ScriptProcessPool) -> None:
    big = ["x" * MIB] * 40
    with pytest.raises(PermanentError) as caught:
        await pool.run(a_call("big.len()", scope={"big": big}))
    assert caught.value.reason == "not_json"
    assert await pool.run(a_call("2")) == ScriptResult(2)


# ── Ends ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_process_that_dies_fails_its_script_and_is_replaced(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    await pool.run(a_call("1"))
    first = the_pid(pool)
    running = asyncio.create_task(pool.run(a_call(LONG)))
    await asyncio.sleep(0.05)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(TransientError) as caught:
        await running
    assert caught.value.reason == "script.worker_died"
    assert [lost.how for lost in observer.of(ScriptProcessLost)] == ["died"]
    assert await pool.run(a_call("2")) == ScriptResult(2)


async def test_a_process_that_died_while_idle_is_not_noticed(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    await pool.run(a_call("1"))
    first = the_pid(pool)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not pool._idle[0].is_alive)
    assert await pool.run(a_call("2")) == ScriptResult(2)
    assert observer.of(ScriptProcessLost) == []


async def test_a_cancelled_run_ends_its_process(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    await pool.run(a_call("1"))
    first = the_pid(pool)
    running = asyncio.create_task(pool.run(a_call(LONG)))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: is_gone(first))
    assert [lost.how for lost in observer.of(ScriptProcessLost)] == ["abandoned"]
    assert await pool.run(a_call("2")) == ScriptResult(2)


async def test_closing_ends_what_runs_and_takes_no_more(observer: RecordingObserver) -> None:
    pool = ScriptProcessPool(observer, processes=2)
    await pool.run(a_call("1"))
    first = the_pid(pool)
    running = asyncio.create_task(pool.run(a_call(LONG)))
    await asyncio.sleep(0.05)
    await pool.close()
    with pytest.raises(TransientError):
        await running
    assert is_gone(first)
    with pytest.raises(UnavailableError):
        await pool.run(a_call("1"))


async def test_a_program_that_cannot_be_started_is_a_failure_that_may_pass(
    pool: ScriptProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(TransientError) as caught:
        await pool.run(a_call("1"))
    assert caught.value.reason == "script.worker_died"
    monkeypatch.undo()
    assert await pool.run(a_call("2")) == ScriptResult(2)


async def test_a_process_that_talks_nonsense_is_ended(
    pool: ScriptProcessPool, observer: RecordingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.run(a_call("1"))
    reader = pool._idle[0]._process.stdout
    assert reader is not None
    reader.feed_data(b"\x00\x00\x00\x02{}")
    with pytest.raises(TransientError):
        await pool.run(a_call("1"))
    assert [lost.how for lost in observer.of(ScriptProcessLost)] == ["garbled"]


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal is Linux's")
@pytest.mark.parametrize("script", ["1", LONG], ids=["idle", "busy"])
def test_processes_end_with_a_parent_that_is_killed(script: str) -> None:
    program = f"""
        import asyncio
        from actors.testing.observer import RecordingObserver
        from app.worker.script_pool import ScriptProcessPool
        from tests.integration.test_script_pool import a_call

        async def main():
            pool = ScriptProcessPool(RecordingObserver(), processes=1)
            await pool.run(a_call("1"))
            running = asyncio.create_task(pool.run(a_call({script!r}, wall_ms=10_000)))
            await asyncio.sleep(0.05)
            print(*pool.pids, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
    deadline = time.monotonic() + 2
    while not is_gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ── Sharing ──────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_started_before_a_script_needs_it(pool: ScriptProcessPool) -> None:
    assert pool.pids == frozenset()
    await pool.run(a_call("1"))
    await pool.run(a_call("2"))
    assert len(pool.pids) == 1


async def test_a_tenant_with_endless_scripts_leaves_a_process_to_others(
    pool: ScriptProcessPool, observer: RecordingObserver
) -> None:
    greedy = [asyncio.create_task(pool.run(a_call(LONG, "greedy"))) for _ in range(5)]
    assert await pool.run(a_call("2", "modest")) == ScriptResult(2)
    assert not any(task.done() for task in greedy)
    for task in greedy:
        task.cancel()
    await asyncio.wait(greedy)
    assert {seen.tenant for seen in observer.of(ScriptPooled)} == {"greedy", "modest"}


async def test_a_process_has_no_environment_and_no_files(
    pool: ScriptProcessPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GREENTIC_SECRET_KEY", "s3cret")
    with (tmp_path / "owner.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        await pool.run(a_call("1"))
    process = Path(f"/proc/{the_pid(pool)}")
    if not process.exists():
        pytest.skip("there is no /proc")
    environment = (process / "environ").read_bytes()
    assert b"s3cret" not in environment
    assert {part.split(b"=")[0] for part in environment.split(b"\0") if part} <= {
        b"PYTHONPATH",
        b"LD_LIBRARY_PATH",
        b"PYTHONHOME",
    }
    files = [os.readlink(file) for file in (process / "fd").iterdir()]  # noqa: PTH115
    assert not [name for name in files if "owner.lock" in name]
    assert len(files) <= 5
    assert len([name for name in files if name == "/dev/null"]) == 3


def test_there_is_one_process_at_least() -> None:
    assert processes_default() >= 1
