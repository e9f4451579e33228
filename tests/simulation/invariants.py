"""What must hold after every simulation, whatever went wrong.

In: a simulation that came to rest. Out: every breach, in words that name run, step and moment. The
promise of DESIGN 4 is here line by line; a check that is laxer than its name says by how much.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from actors.ids import run_id
from actors.nodes.schema import RetryPolicy
from actors.outcomes import RunResult
from actors.ports import STEPS_KEPT, Continuation, RunRecord, StateScope
from tests.simulation.network import at_once
from tests.simulation.simulation import Played, flows_taking
from tests.simulation.workers import SKEW_MS_MAX
from tests.simulation.world import TENANT, Fact, Kind

_SECONDS: Final = re.compile(r"\b17000\d{5}\b")
"""A time of the simulation, as `now` has it."""

_FLOW_TIMEOUT: Final = "the flow's timeout"

FINAL: Final = frozenset({"completed", "failed", "rejected", "cancelled"})


def breaches_of(played: Played) -> list[str]:
    """Judge a simulation; empty if everything holds."""
    return [breach for check in CHECKS for breach in check(played)] + list(played.troubles)


# ── Outcomes ─────────────────────────────────────────────────────────────────────────────────


def everything_is_at_rest(played: Played) -> Iterator[str]:
    """No delivery is unsettled, nothing waits in WORK."""
    cluster = played.cluster
    if cluster.stream.unsettled:
        yield f"{cluster.stream.unsettled} deliveries are unsettled"
    for waiting in cluster.work.waiting:
        yield f"run {waiting.run_id} of {waiting.flow} still waits in WORK"


def each_event_has_one_outcome_per_flow(played: Played) -> Iterator[str]:
    """Each flow that takes an event has one final result for it, and sub-runs have one too."""
    results = _results(played)
    expected = _expected_runs(played)
    for run, name in expected.items():
        if run not in results:
            yield f"run {run} of {name} has no result"
        elif results[run].status not in FINAL:
            yield f"run {run} of {name} ended as {results[run].status}"
    for run, result in results.items():
        if run not in expected:
            yield f"run {run} of {result.flow} has a result and nobody asked for it"


def outcomes_agree(played: Played) -> Iterator[str]:
    """Who concludes a run a second time comes to the same end, on the same path.

    A cancellation and the run's own end may race: then the first one counts. A run that ended
    before anything of it stood in its journal begins afresh when it is delivered again: it may be
    of another version then, or another time of day, and come to another end. So does a run that
    ended since its flow's timeout was over, if it is delivered once more.
    """
    excused = played.cancelled | _overdue(played) | _ended_before_they_began(played)
    for run, facts in _by_run(played, "result").items():
        ends = {_end_of(fact.value) for fact in facts}
        if len(ends) > 1 and run not in excused:
            yield f"run {run} was concluded as {' and as '.join(sorted(ends))}"
    for run, facts in _by_run(played, "record").items():
        paths = {_way_of(fact.value) for fact in facts}
        if len(paths) > 1 and run not in excused:
            yield f"run {run} has records of several ways: {sorted(paths)}"
    for run in _results(played):
        if run not in _by_run(played, "record"):
            yield f"run {run} has a result and no record"


def records_tell_what_was_done(played: Played) -> Iterator[str]:
    """A record has the run's last steps, and counts what came to a value outside, once each."""
    excused = played.cancelled | _overdue(played) | _ended_before_they_began(played)
    done = Counter(run for run, _ in _done_outside(played))
    for fact in played.cluster.history.of("record"):
        record: RunRecord = fact.value
        told = tuple(step.step for step in record.steps)
        if told != tuple(record.path[-STEPS_KEPT:]):
            yield f"run {fact.run} went {record.path} and tells of {told}"
        if record.usage.effects != done[fact.run] and fact.run not in excused:
            yield f"run {fact.run} did {done[fact.run]} effects and tells {record.usage.effects}"
        if record.usage.events != (record.parent_run_id is None):
            yield f"run {fact.run} counts {record.usage.events} events"


def _done_outside(played: Played) -> set[tuple[str, str]]:
    """Name what runs did: calls, actions and events that are on record, and the runs they began."""
    kept = _kept_outcomes(played)
    done = {(fact.run, fact.what) for fact in played.cluster.history.of("effect")}
    done = {one for one in done if one in kept and kept[one].value["kind"] == "advance"}
    begun = [fact.value for fact in played.cluster.history.of("schedule")]
    return done | {(one.parent_run_id, one.run_id) for one in begun if one.parent_run_id}


def letters_are_of_failed_runs(played: Played) -> Iterator[str]:
    """A run has a dead letter if, and only if, it failed (laxer as `outcomes_agree` is)."""
    failed = {run for run, result in _results(played).items() if result.status == "failed"}
    letters = {letter.letter_id for letter in played.cluster.letters.parked}
    excused = played.cancelled | _overdue(played)
    for run in sorted(failed - letters - excused):
        yield f"run {run} failed and has no dead letter"
    for run in sorted(letters - failed - excused):
        yield f"run {run} has a dead letter and did not fail"


def cancelled_runs_end_so(played: Played) -> Iterator[str]:
    """A run whose cancellation was kept before it ended ends as cancelled.

    Laxer by what is in hand: a run that concludes in the same moments may win. And by what had not
    begun: who is handed an event for the first time asks no journal.
    """
    ends = {run: facts[0] for run, facts in _by_run(played, "result").items()}
    for fact in played.cluster.history.of("cancel"):
        end = ends.get(fact.run)
        if end is None or end.number < fact.number:
            continue
        is_later = end.time_ms - fact.time_ms > 60_000
        if is_later and end.value.status != "cancelled" and _wrote_after(played, fact):
            yield f"run {fact.run} was cancelled and went on to end as {end.value.status}"


# ── Effects ──────────────────────────────────────────────────────────────────────────────────


def journalled_effects_are_not_repeated(played: Played) -> Iterator[str]:
    """No effect whose outcome stands in the journal is executed again after that."""
    kept = _kept_outcomes(played)
    for fact in played.cluster.history.of("effect"):
        outcome = kept.get((fact.run, fact.what))
        if outcome is not None and outcome.number < fact.sent:
            yield (
                f"effect {fact.run}:{fact.what} was executed by {fact.by} at {fact.time_ms},"
                f" after {outcome.by} had kept its outcome at {outcome.time_ms}"
            )


def an_effect_is_one_request(played: Played) -> Iterator[str]:
    """The calls of one idempotency key are all the same.

    Laxer by `now` and by the flow's version, as long as nothing of the run stands in its journal:
    both are fixed with the first entry.
    """
    is_one_version = len(played.deployments) == 1
    begun = {run: facts[0].number for run, facts in _by_run(played, "journal").items()}
    requests: dict[tuple[str, str], set[str]] = defaultdict(set)
    masked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in played.cluster.history.of("effect"):
        text = str(fact.value)
        if is_one_version:
            masked[fact.run, fact.what].add(_SECONDS.sub("NOW", text))
        if fact.sent > begun.get(fact.run, fact.sent):
            requests[fact.run, fact.what].add(text)
    for texts_of in (requests, masked):
        for (run, step), texts in texts_of.items():
            if len(texts) > 1:
                yield f"effect {run}:{step} has several requests: {sorted(texts)}"


def counters_count(played: Played) -> Iterator[str]:
    """A counter in the state is as high as the times its step was taken, over all runs.

    A step counts once its intent stands in the journal. A write whose acknowledgement was lost is
    known again by its id; one that was never intended was never made. Only a run that was cancelled,
    or whose time was over, may have intended a last write and not made it.
    """
    excused = played.cancelled | _overdue(played)
    intended: Counter[str] = Counter()
    given_up: Counter[str] = Counter()
    steps = filter(is_of_a_step, played.cluster.history.of("journal"))
    last = {fact.run: fact for fact in steps}
    for (run, _), fact in _kept_outcomes(played).items():
        for write in fact.value.get("writes", ()):
            if write["key"] != "shared":
                intended[write["key"]] += 1
                is_last = last[run] is fact and run in excused
                given_up[write["key"]] += is_last
    for key, times in intended.items():
        value = at_once(played.cluster.state.get(StateScope(TENANT), key)).value or 0
        if not times - given_up[key] <= value <= times:
            yield f"counter {key} is {value}, and its step was taken {times} times"


# ── Replays ──────────────────────────────────────────────────────────────────────────────────


def heads_agree(played: Played) -> Iterator[str]:
    """A run has one head: its `now`, version and trigger are the same in all its legs."""
    heads: dict[str, list[Any]] = defaultdict(list)
    for fact in played.cluster.history.of("journal"):
        if "head" in fact.value and fact.value["head"] not in heads[fact.run]:
            heads[fact.run].append(fact.value["head"])
    for run, found in heads.items():
        if len(found) > 1:
            yield f"run {run} has several heads: {found}"


def replays_see_the_same(played: Played) -> Iterator[str]:
    """Whoever comes to a step of a run after its first entry was kept sees the same names.

    Of those who read the journal before that entry, nothing is asked: they are lost.
    """
    for run, facts in _by_run(played, "see").items():
        seen: dict[str, Fact] = {}
        for fact in facts:
            if not fact.value.is_begun:
                continue
            first = seen.setdefault(fact.what, fact)
            if first.value.names != fact.value.names:
                yield (
                    f"run {run} saw at {fact.what} first {first.value.names} ({first.by}),"
                    f" then {fact.value.names} ({fact.by})"
                )


# ── Time ─────────────────────────────────────────────────────────────────────────────────────


def waits_are_kept(played: Played) -> Iterator[str]:
    """While a run sleeps it does nothing: no effect, no entry, no end."""
    sleeps = [
        fact
        for fact in played.cluster.history.of("journal")
        if fact.value.get("kind") == "sleep" and is_of_a_step(fact)
    ]
    for sleep in sleeps:
        due_ms = sleep.value["due_ms"] - 2 * SKEW_MS_MAX
        for fact in played.cluster.history.facts:
            is_later = fact.number > sleep.number and fact.time_ms < due_ms
            is_act = fact.kind in ("effect", "journal", "result") and is_of_a_step(fact)
            if fact.run == sleep.run and is_later and is_act and fact.run not in played.cancelled:
                yield (
                    f"run {fact.run} did {fact.kind} {fact.what} at {fact.time_ms},"
                    f" and slept until {sleep.value['due_ms']}"
                )


def retries_keep_their_policy(played: Played) -> Iterator[str]:
    """A run is tried again at most as often, and not sooner, than its policies say."""
    policies = _policies(played)
    for run, facts in _by_run(played, "schedule").items():
        for fact in facts:
            yield from _breaches_of_policy(run, fact, policies)


def _breaches_of_policy(
    run: str, fact: Fact, policies: Mapping[str, RetryPolicy | None]
) -> Iterator[str]:
    continuation: Continuation = fact.value
    for step, times in continuation.retries.items():
        name = continuation.flow if step == "" else step.rpartition(":")[0].rpartition("/")[2]
        policy = policies.get(name)
        if policy is None or times > policy.max_retries:
            yield f"run {run} retries {step or 'itself'} {times} times, against {policy}"


def is_of_a_step(fact: Fact) -> bool:
    """Tell the entry of a step from a mark in the journal, and from a copy that lives longer."""
    return not fact.what.startswith("!") and "@" not in fact.what


# ── Reading a simulation ─────────────────────────────────────────────────────────────────────


def _results(played: Played) -> dict[str, RunResult]:
    return {one.result.run_id: one.result for one in played.cluster.results.stored}


def _by_run(played: Played, kind: Kind) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in played.cluster.history.of(kind):
        found[fact.run].append(fact)
    return found


def _expected_runs(played: Played) -> dict[str, str]:
    """Name every run that somebody asked for: by an accepted event, or by a run's step."""
    expected = {
        run_id(event.id, flow): flow
        for event in played.cluster.accepted
        for flow in flows_taking(event, played.plan.flows)
    }
    for fact in played.cluster.history.of("schedule"):
        expected.setdefault(fact.run, fact.value.flow)
    return expected


def _kept_outcomes(played: Played) -> dict[tuple[str, str], Fact]:
    """Give for each step of each run the entry of its last evaluation."""
    kept = {}
    for fact in played.cluster.history.of("journal"):
        if not is_of_a_step(fact):
            continue
        step = ":".join(fact.what.split(":")[:2])
        kept[fact.run, step] = fact
    return kept


def _end_of(result: RunResult) -> str:
    error = None if result.error is None else (result.error.code, result.error.node)
    return f"{result.status} {result.output} {error} {result.flow_version} {result.started_ms}"


def _way_of(record: RunRecord) -> str:
    """Give all that a record tells but times, and which try of a step and of the run it was."""
    steps = [f"{one.step}={one.outcome}:{one.code}" for one in record.steps]
    used = record.usage._replace(payloads=())
    return f"{_end_of(record.result)} by {record.trigger}: {'·'.join(record.path)} {steps} {used}"


def _overdue(played: Played) -> frozenset[str]:
    """Name the runs that once ended since their flow's timeout was over."""
    history = played.cluster.history
    errors = [(fact.run, fact.value.error) for fact in history.of("result")]
    errors += [(fact.run, fact.value.error) for fact in history.of("letter")]
    errors += [(fact.run, fact.value.result.error) for fact in history.of("record")]
    return frozenset(
        run for run, error in errors if error and error.message.startswith(_FLOW_TIMEOUT)
    )


def _ended_before_they_began(played: Played) -> frozenset[str]:
    """Name the runs that came to an end once before anything of them stood in their journal."""
    begun = {run: facts[0].number for run, facts in _by_run(played, "journal").items()}
    ends = [*played.cluster.history.of("result"), *played.cluster.history.of("record")]
    return frozenset(one.run for one in ends if begun.get(one.run, one.number) >= one.number)


def _wrote_after(played: Played, cancel: Fact) -> bool:
    facts = _by_run(played, "journal").get(cancel.run, ())
    is_later = any(fact.time_ms - cancel.time_ms > 60_000 for fact in facts)
    return is_later and any(fact.number < cancel.number for fact in facts)


def _policies(played: Played) -> dict[str, RetryPolicy | None]:
    """Give the policies of flows and nodes by name; no two have the same."""
    found: dict[str, RetryPolicy | None] = {}
    for deployment in played.deployments:
        for flow in deployment.flows.values():
            found[flow.name] = flow.retry
            found |= {node.id: node.retry for node in flow.nodes.values()}
    return found


CHECKS: Final[tuple[Callable[[Played], Iterator[str]], ...]] = (
    everything_is_at_rest,
    each_event_has_one_outcome_per_flow,
    outcomes_agree,
    records_tell_what_was_done,
    letters_are_of_failed_runs,
    cancelled_runs_end_so,
    journalled_effects_are_not_repeated,
    an_effect_is_one_request,
    counters_count,
    heads_agree,
    replays_see_the_same,
    waits_are_kept,
    retries_keep_their_policy,
)
