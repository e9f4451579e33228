"""Identities: the same thing gets the same name, different things different ones."""

import re

from ulid import ULID

from actors.ids import (
    child_run_id,
    delivery_message_id,
    effect_key,
    run_id,
    step_id,
    tick_id,
    ulid_time_ms,
)

TOKEN = re.compile(r"[a-z0-9]{20,40}")


def test_a_run_is_named_by_event_flow_and_redrive() -> None:
    name = run_id("evt-1", "orders")
    assert name == run_id("evt-1", "orders", "")
    others = {run_id("evt-2", "orders"), run_id("evt-1", "audit"), run_id("evt-1", "orders", "r1")}
    assert len(others | {name}) == 4
    assert all(TOKEN.fullmatch(each) for each in others | {name})


def test_parts_do_not_run_together() -> None:
    assert run_id("ab", "c") != run_id("a", "bc")
    assert delivery_message_id("p", "ab", "c") != delivery_message_id("p", "a", "bc")


def test_names_of_different_kinds_never_meet() -> None:
    parts = ("a", "b", "1")
    named = {run_id(*parts), child_run_id("a", "b", 1), delivery_message_id(*parts)}
    assert len(named) == 3


def test_each_turn_of_a_step_starts_another_run() -> None:
    assert child_run_id("run", "node", 1) != child_run_id("run", "node", 2)


def test_a_delivery_id_may_hold_any_text() -> None:
    assert delivery_message_id("p", "t", "\ud800") != delivery_message_id("p", "t", "é")


def test_a_tick_is_a_ulid_of_its_time_the_same_on_every_worker() -> None:
    due_ms = 1_700_000_000_000
    name = tick_id("orders", 1, due_ms)
    assert name == tick_id("orders", 1, due_ms)
    assert round(ULID.from_str(name).timestamp * 1000) == due_ms
    assert str(ULID.from_str(name)) == name
    assert len({name, tick_id("orders", 2, due_ms), tick_id("audit", 1, due_ms)}) == 3
    assert tick_id("orders", 1, due_ms + 1) > name


def test_steps_and_effects_carry_their_place() -> None:
    assert step_id("", "send") == "send"
    assert step_id("call/inner", "send") == "call/inner/send"
    assert effect_key("run-1", "call/send", 2) == "run-1:call/send:2"


def test_the_time_in_a_ulid_is_read_and_nothing_else_has_one() -> None:
    ulid = ULID()
    assert ulid_time_ms(str(ulid)) == ulid.milliseconds
    assert ulid_time_ms(tick_id("f", 1, 1_700_000_000_123)) == 1_700_000_000_123
    for text in ("", "x", "8" + "0" * 25, "U" * 26, str(ulid).lower(), f"{ulid}0"):
        assert ulid_time_ms(text) is None
