"""The judge is judged: it finds nothing where all is well, and every promise that is broken."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Checker
from tests.faults.load import Accepted, Ledger
from tests.faults.observed import Call, Seen, Stored
from tests.faults.scenario import KINDS

SECOND = 1_000_000_000
T0 = 1_800_000_000 * SECOND

Estate = tuple[Ledger, Seen]


def _event(number: int, event_type: str, *, source: str = "webhook") -> Stored:
    payload = {"number": number, "shard": number % 8, "sleep_ms": 2000}
    document = {
        "id": f"e{number}-{event_type}",
        "event_type": event_type,
        "source": source,
        "payload": payload,
    }
    return Stored(f"greentic.events.dev.demo.{event_type}", document, T0, number)


def _result(event: Stored, flow: str, output: Any, status: str = "completed") -> Stored:
    error = None if status == "completed" else {"code": "flow_error", "node": "fall"}
    document = {
        "event_id": event.document["id"],
        "run_id": f"run-{flow}-{event.document['id']}",
        "flow": flow,
        "status": status,
        "output": output,
        "error": error,
    }
    return Stored(f"{event.subject}.result", document, T0 + SECOND, event.sequence + 100)


def _well(tmp_path: Path) -> Estate:
    """One event of each kind that the checks look at, all as promised."""
    mail, counted, trouble = (
        _event(n, t) for n, t in ((1, "mail.wanted"), (8, "count.made"), (3, "trouble.made"))
    )
    begun, following = _event(4, "chain.begun"), _event(4, "chain.next", source="flow:chain-first")
    sleeping = _event(5, "sleep.wanted")
    events = [mail, counted, trouble, begun, following, sleeping]
    results = [
        _result(mail, "mail", "1 mailed"),
        _result(counted, "count-script", {"shard": 0, "count": 1}),
        _result(counted, "keep-node", 8),
        _result(trouble, "caught", "3 caught flow_error"),
        _result(trouble, "doomed", None, "failed"),
        _result(begun, "chain-first", "4 emitted"),
        _result(following, "chain-second", "4 arrived"),
        _result(sleeping, "sleeper", "5 slept"),
    ]
    runs = {item.document["flow"]: item.document["run_id"] for item in results}
    nodes = (
        *(("count-script", "note", 8), ("caught", "before", 3), ("caught", "mend", 3)),
        *(("doomed", "before", 3), ("chain-first", "note", 4), ("chain-second", "ring", 4)),
        *(("sleeper", "before", 5), ("sleeper", "after", 5)),
    )
    calls, journal = {}, {f"{runs['mail']}:send:1": T0 + SECOND}
    for flow, node, number in nodes:
        key, name = f"{runs[flow]}:{node}:1", f"{flow}/{node}/{number}"
        at_ns = T0 + (3 * SECOND if node == "after" else 0)
        calls[name] = [Call(key, name, at_ns, "200")]
        journal[key] = at_ns + SECOND
    calls["mail/send/1"] = [Call("<m1@example.org>", "mail/send/1", T0, "mail")]
    letter = {"event": trouble.document, "flow": "doomed", "reason": "flow_error", "error": {}}
    ledger = Ledger(tmp_path / "ledger")
    for item in events:
        document = item.document
        if document["source"] == "webhook":
            number = document["payload"]["number"]
            ledger.note(Accepted(number, document["event_type"], document["id"], 0.0, 0.1, 1))
    seen = Seen(
        events=events,
        results=results,
        journal=journal,
        letters=[Stored("greentic.dead.dev.demo.x.y", letter, T0, 1)],
        state={"count-0": 1, "kept-8": 8},
        calls=calls,
    )
    return ledger, seen


def _findings(estate: Estate) -> set[str]:
    ledger, seen = estate
    return {finding.check for finding in Checker(KINDS, ledger, seen).check().findings}


def test_nothing_is_found_where_all_is_well(tmp_path: Path) -> None:
    ledger, seen = _well(tmp_path)
    checked = Checker(KINDS, ledger, seen).check()
    assert checked.findings == []
    assert (checked.figures.events, checked.figures.runs) == (5, 8)
    assert (checked.figures.effects, checked.figures.executions) == (9, 9)


@pytest.mark.parametrize("tries", [1, 2])
def test_a_sender_that_repeats_may_replay_what_had_failed(tmp_path: Path, tries: int) -> None:
    ledger, seen = _well(tmp_path)
    [posted] = [one for one in ledger.accepted if one.event_type == "trouble.made"]
    ledger.accepted[ledger.accepted.index(posted)] = replace(posted, tries=tries)
    [first] = [item for item in seen.results if item.document["flow"] == "doomed"]
    again = replace(first, document=first.document | {"run_id": "run-again"})
    calls: Any = seen.calls["doomed/before/3"]
    calls.append(Call("run-again:before:1", calls[0].path, T0 + 9 * SECOND, "200"))
    journal = {**seen.journal, "run-again:before:1": T0 + 10 * SECOND}
    estate = ledger, replace(seen, results=[*seen.results, again], journal=journal)
    broken = {"no event has two results", "an effect has one key"}
    assert _findings(estate) == (broken if tries == 1 else set())


def test_a_repeat_before_the_outcome_is_counted_and_allowed(tmp_path: Path) -> None:
    ledger, seen = _well(tmp_path)
    calls: Any = seen.calls["caught/mend/3"]
    calls.append(Call(calls[0].key, calls[0].path, T0 + SECOND // 2, "200"))
    checked = Checker(KINDS, ledger, seen).check()
    assert checked.findings == []
    assert checked.figures.repeated == 1


def _drop_result(seen: Any) -> None:
    del seen.results[0]


def _repeat_result(seen: Any) -> None:
    seen.results.append(seen.results[0])


def _strange_result(seen: Any) -> None:
    seen.results.append(_result(_event(99, "mail.wanted"), "mail", "99 mailed"))


def _wrong_status(seen: Any) -> None:
    seen.results[0].document["status"] = "failed"


def _wrong_output(seen: Any) -> None:
    seen.results[0].document["output"] = "2 mailed"


def _lose_event(seen: Any) -> None:
    del seen.events[0]


def _double_event(seen: Any) -> None:
    again = deepcopy(seen.events[0])
    again.document["id"] = "another"
    seen.events.append(again)


def _lose_emitted(seen: Any) -> None:
    seen.events[:] = [item for item in seen.events if item.document["source"] == "webhook"]


def _lose_call(seen: Any) -> None:
    del seen.calls["caught/mend/3"]


def _repeat_late(seen: Any) -> None:
    first = seen.calls["caught/mend/3"][0]
    seen.calls["caught/mend/3"].append(Call(first.key, first.path, T0 + 2 * SECOND, "200"))


def _mail_late(seen: Any) -> None:
    first = seen.calls["mail/send/1"][0]
    seen.calls["mail/send/1"].append(Call(first.key, first.path, T0 + 2 * SECOND, "mail"))


def _second_key(seen: Any) -> None:
    first = seen.calls["caught/mend/3"][0]
    seen.calls["caught/mend/3"].append(Call("other:mend:1", first.path, T0, "200"))


def _lose_journal(seen: Any) -> None:
    seen.journal.clear()


def _strange_call(seen: Any) -> None:
    seen.calls["caught/mend/77"] = seen.calls["caught/mend/3"]


def _lose_letter(seen: Any) -> None:
    seen.letters.clear()


def _strange_letter(seen: Any) -> None:
    letter = deepcopy(seen.letters[0])
    letter.document["flow"] = "caught"
    seen.letters.append(letter)


def _repeat_letter(seen: Any) -> None:
    seen.letters.append(seen.letters[0])


def _miscount(seen: Any) -> None:
    seen.state["count-0"] = 2


def _tell_miscount(seen: Any) -> None:
    seen.results[1].document["output"]["count"] = 2


def _forget_state(seen: Any) -> None:
    del seen.state["kept-8"]


def _wake_early(seen: Any) -> None:
    first = seen.calls["sleeper/after/5"][0]
    seen.calls["sleeper/after/5"] = [Call(first.key, first.path, T0 + SECOND, "200")]


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (_drop_result, "every event has its result"),
        (_repeat_result, "no event has two results"),
        (_strange_result, "no result is without its event"),
        (_wrong_status, "runs end as they should"),
        (_wrong_output, "outputs are right"),
        (_lose_event, "accepted events are stored"),
        (_double_event, "a repeated delivery is no second event"),
        (_lose_emitted, "an emitted event is one event"),
        (_lose_call, "every effect is executed"),
        (_repeat_late, "what was journalled is not executed again"),
        (_mail_late, "what was journalled is not executed again"),
        (_second_key, "an effect has one key"),
        (_lose_journal, "every effect is journalled"),
        (_strange_call, "no effect is without its event"),
        (_lose_letter, "what failed is kept"),
        (_strange_letter, "only what failed is kept"),
        (_repeat_letter, "a letter is kept once"),
        (_miscount, "counters count"),
        (_tell_miscount, "no two runs count the same"),
        (_forget_state, "what was set is there"),
        (_wake_early, "nobody wakes early"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or value.replace(" ", "-"),
)
def test_a_broken_promise_is_found(
    break_it: Callable[[Any], None], found: str, tmp_path: Path
) -> None:
    estate = _well(tmp_path)
    break_it(estate[1])
    assert found in _findings(estate)


def test_senders_that_were_never_served_are_found(tmp_path: Path) -> None:
    ledger, seen = _well(tmp_path)
    ledger.given_up.append("pure.made 7: 3 tries, last: nothing")
    assert "a sender is served in the end" in _findings((ledger, seen))
