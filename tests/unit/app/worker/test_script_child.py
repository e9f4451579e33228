"""What a script process answers. In: frames. Out: frames; the process itself is not started."""

import io
from unittest.mock import ANY

import pytest

from actors.nodes.script_evaluation import ScriptEvaluator
from actors.ports import ScriptResult
from app.worker.script_child import ScriptServer
from app.worker.script_frames import (
    LENGTH_BYTES,
    Answer,
    Done,
    Failed,
    FrameError,
    Load,
    Loaded,
    Refused,
    Request,
    Run,
    Unknown,
    Wanted,
    decode_answer,
    encode_frame,
    frame_length,
)

MIB = 1024 * 1024


def ask(server: ScriptServer, *requests: Request) -> list[Answer]:
    answers = io.BytesIO()
    server.serve(io.BytesIO(b"".join(map(encode_frame, requests))), answers)
    answers.seek(0)
    found = []
    while head := answers.read(LENGTH_BYTES):
        found.append(decode_answer(answers.read(frame_length(head))))
    assert found[0] == Loaded(), "it tells that it is ready"
    return found[1:]


def a_run(digest: str = "d", **fields: object) -> Run:
    scope: dict[str, object] = {"n": 20}
    return Run(digest, scope, None, operations=1_000, wall_ms=1_000)


def test_a_script_is_loaded_once_and_run_often() -> None:
    load = Load("d", "s", "n + one()", (("scripts/f.rhai", "fn one() { print(1); 1 }"),))
    done = Done(21, (("print", "1"),), {}, frozenset(), operations=ANY)
    server = ScriptServer(MIB)
    assert ask(server, a_run(), load, a_run(), a_run()) == [Unknown(), Loaded(), done, done]
    assert ask(server, a_run()) == [done]


def test_failures_come_with_their_place() -> None:
    load = Load("d", "s", "let a = 1;\na + nothing", ())
    _, failed = ask(ScriptServer(MIB), load, a_run())
    assert failed == Failed(
        "grammar.evaluation",
        "variable_not_found",
        "Variable not found: nothing",
        source="s",
        span=(15, 22, 2, 5),
    )


def test_state_is_asked_for_and_written() -> None:
    load = Load("d", "s", 'state.set("m", state.get("n") + 1); state.remove("n"); 0', ())
    empty = Run("d", {}, {}, 1_000, 1_000)
    full = Run("d", {}, {"n": 1}, 1_000, 1_000)
    _, wanted, done = ask(ScriptServer(MIB), load, empty, full)
    assert wanted == Wanted("n", operations=ANY)
    assert done == Done(0, (), {"m": 2, "n": None}, frozenset({"n"}), operations=ANY)
    assert isinstance(wanted, Wanted)
    assert isinstance(done, Done)
    assert 0 < wanted.operations < done.operations


def test_values_that_no_run_may_carry_are_refused() -> None:
    _, answer = ask(ScriptServer(MIB), Load("d", "s", "0.0 / 0.0", ()), a_run())
    assert isinstance(answer, Refused)
    assert answer.reason == "not_json"


def test_half_a_character_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ScriptServer(MIB)
    monkeypatch.setattr(server._evaluator, "evaluate", lambda _: ScriptResult("\ud800"))
    _, answer = ask(server, Load("d", "s", "1", ()), a_run())
    assert isinstance(answer, Refused)
    assert answer.reason == "not_json"


def test_programs_that_are_dropped_are_unknown() -> None:
    server = ScriptServer(MIB)
    server._evaluator = ScriptEvaluator(programs_max=1)
    answers = ask(server, Load("a", "s", "1", ()), Load("b", "s", "2", ()), a_run("a"), a_run("b"))
    assert answers[2:] == [Unknown(), Done(2, (), {}, frozenset(), 1)]
    assert server._scripts.keys() == {"b"}


def test_full_memory_is_said_and_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*_: object) -> None:
        raise MemoryError

    server = ScriptServer(300 * MIB)
    monkeypatch.setattr(server._evaluator, "evaluate", overflow)
    answers = ask(server, Load("d", "s", "1", ()), a_run(), a_run())
    assert answers[1:] == [
        Failed("grammar.budget_exceeded", "limit_memory", "Too much memory: the limit is 300 MiB")
    ]
    assert server.is_spent


def test_a_request_that_is_none_ends_the_process() -> None:
    server = ScriptServer(MIB)
    with pytest.raises(FrameError):
        server.serve(io.BytesIO(b"\x00\x00\x00\x02{}"), io.BytesIO())


def test_a_request_cut_off_ends_the_process() -> None:
    server = ScriptServer(MIB)
    server.serve(io.BytesIO(b"\x00\x00"), io.BytesIO())
