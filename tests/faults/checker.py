"""The checks: what was promised, held against what is there.

In: the ledger, the kinds of events, and what was seen. Out: findings (none, if all is well) and
figures. Knows nothing of how the program works inside: it reads streams as docs/guarantees.md
describes them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.lanes import check_lanes
from tests.faults.load import Ledger
from tests.faults.observed import Call, Seen, Stored
from tests.faults.scenario import COUNTERS, Kind, Outcome

NANOSECONDS: Final = 1e9
SHOWN_MAX: Final = 5


@dataclass(frozen=True)
class Finding:
    """Something that was promised and is not so."""

    check: str
    text: str


@dataclass
class Figures:
    """What is reported beside the findings."""

    events: int = 0
    runs: int = 0
    effects: int = 0
    """Effects that were to be executed."""
    executions: int = 0
    repeated: int = 0
    """Effects executed more than once, none of which had a journalled outcome before its repeat."""
    refused: int = 0
    """Scripted and injected failures, which a retry had to repeat."""
    letters: int = 0
    slowest_seconds: float = 0.0
    """From the event's storing to its result's, sleeps not counted."""
    median_seconds: float = 0.0
    latest_seconds: float = 0.0
    """How late the latest sleeper went on."""


def findings_of(check: str, texts: Sequence[str]) -> list[Finding]:
    """Make one finding of all that speaks against a promise, showing the first few; or none."""
    if not texts:
        return []
    more = len(texts) - SHOWN_MAX
    shown = "; ".join(texts[:SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
    return [Finding(check, f"{len(texts)}: {shown}")]


@dataclass
class Checked:
    """What came of the checks."""

    broken: dict[str, list[str]] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)

    @property
    def findings(self) -> list[Finding]:
        return [item for check, texts in self.broken.items() for item in findings_of(check, texts)]


@dataclass(frozen=True)
class Wanted:
    """One run that must have been made: what it is for, and what it must have come to."""

    number: int
    event_id: str
    event_type: str
    flow: str
    outcome: Outcome
    stored_ns: int

    def __str__(self) -> str:
        return f"{self.event_type} {self.number} ({self.event_id}) by {self.flow}"


class Checker:
    """Checks one cluster's life, from its first event to its rest."""

    def __init__(
        self, kinds: Sequence[Kind], ledger: Ledger, seen: Seen, *, trusts_clocks: bool = True
    ) -> None:
        self._trusts_clocks = trusts_clocks
        self._kinds = {kind.event_type: kind for kind in kinds}
        self._ledger, self._seen = ledger, seen
        self._sent_again = {one.event_id for one in ledger.accepted if one.tries > 1}
        self._checked = Checked()

    def check(self) -> Checked:
        """Hold everything against everything."""
        self._check_accepted()
        wanted = list(self._wanted())
        results = self._check_results(wanted)
        self._check_effects(wanted, results)
        self._check_letters(wanted)
        self._check_counters(wanted, results)
        if self._trusts_clocks:
            self._check_sleepers()
        for check, texts in check_lanes(self._seen).items():
            self._fail(check, texts)
        self._note_speed(wanted, results)
        figures = self._checked.figures
        figures.events, figures.runs = len(self._ledger.accepted), len(wanted)
        return self._checked

    # ── Events ───────────────────────────────────────────────────────────────────────────────

    def _check_accepted(self) -> None:
        stored = Counter(item.document["id"] for item in self._seen.events)
        lost = [one for one in self._ledger.accepted if one.event_id not in stored]
        self._fail("accepted events are stored", [f"{o.event_type} {o.number}" for o in lost])
        self._fail("an event is stored once", [key for key, times in stored.items() if times > 1])
        numbers = Counter(self._number(item) for item in self._seen.events if self._is_posted(item))
        self._fail(
            "a repeated delivery is no second event",
            [f"number {number}: {times}" for number, times in numbers.items() if times > 1],
        )
        self._fail("a sender is served in the end", self._ledger.given_up)
        self._fail("an ingress answers no 500", self._ledger.surprises)

    def _wanted(self) -> Iterator[Wanted]:
        """Give the runs that must be: those of all stored events, accepted or emitted.

        An event whose sender never heard of it is stored all the same, and must be processed.
        """
        emitted: defaultdict[tuple[str, int], list[Stored]] = defaultdict(list)
        for item in self._seen.events:
            if not self._is_posted(item):
                emitted[self._type(item), self._number(item)].append(item)
        for item in self._seen.events:
            kind = self._kinds.get(self._type(item))
            if kind is None:
                self._fail("only known events are stored", [item.subject])
                continue
            for flow, outcome in kind.flows.items():
                yield Wanted(
                    self._number(item),
                    item.document["id"],
                    kind.event_type,
                    flow,
                    outcome,
                    item.at_ns,
                )
            if kind.emits is not None:
                times = len(emitted[kind.emits, self._number(item)])
                if times != 1:
                    self._fail(
                        "an emitted event is one event",
                        [f"{kind.emits} of {self._number(item)}: {times} times"],
                    )

    def _is_posted(self, item: Stored) -> bool:
        return bool(item.document["source"] == "webhook")

    def _type(self, item: Stored) -> str:
        return str(item.document["event_type"])

    def _number(self, item: Stored) -> int:
        return int(item.document["payload"]["number"])

    # ── Results ──────────────────────────────────────────────────────────────────────────────

    def _check_results(self, wanted: Sequence[Wanted]) -> Mapping[tuple[str, str], Stored]:
        found: defaultdict[tuple[str, str], list[Stored]] = defaultdict(list)
        for item in self._seen.results:
            for event_id in item.document.get("batch") or [item.document["event_id"]]:
                found[event_id, item.document["flow"]].append(item)
        expected = {(one.event_id, one.flow) for one in wanted}
        missing = [str(one) for one in wanted if not found[one.event_id, one.flow]]
        twice = [
            str(one)
            for one in wanted
            if len(found[one.event_id, one.flow]) > 1 and not self._may_be_replayed(one)
        ]
        strange = [str(key) for key, items in found.items() if items and key not in expected]
        self._fail("every event has its result", missing)
        self._fail("no event has two results", twice)
        self._fail("no result is without its event", strange)
        results = {key: items[0] for key, items in found.items() if items}
        for one in wanted:
            self._judge(one, results.get((one.event_id, one.flow)))
        return results

    def _may_be_replayed(self, one: Wanted) -> bool:
        """Whether the sender's repeat may have replayed the flow that failed, as another run."""
        return one.outcome.has_letter and one.event_id in self._sent_again

    def _judge(self, one: Wanted, result: Stored | None) -> None:
        if result is None:
            return
        document = result.document
        if document["status"] == "rejected" and one.outcome.may_refuse:
            return
        if document["status"] != one.outcome.status:
            self._fail(
                "runs end as they should",
                [f"{one}: {document['status']}, {document['error']}"],
            )
        elif one.outcome.status == "completed" and not one.outcome.judge(
            one.number, document["output"]
        ):
            self._fail("outputs are right", [f"{one}: {document['output']!r}"])

    # ── Effects ──────────────────────────────────────────────────────────────────────────────

    def _check_effects(
        self, wanted: Sequence[Wanted], results: Mapping[tuple[str, str], Stored]
    ) -> None:
        figures = self._checked.figures
        known: set[str] = set()
        for one in wanted:
            result = results.get((one.event_id, one.flow))
            if result is not None and result.document["status"] == "rejected":
                continue
            for node in one.outcome.calls + one.outcome.mails:
                name = f"{node}/{one.number}"
                known.add(name)
                if one.outcome.shares_calls and name not in self._seen.calls:
                    continue
                calls = self._seen.calls.get(name, ())
                figures.effects += 1
                figures.executions += len(calls)
                figures.refused += sum(call.status not in ("200", "mail") for call in calls)
                by_key: defaultdict[str, list[Call]] = defaultdict(list)
                for call in calls:
                    by_key[call.key].append(call)
                if not calls:
                    self._fail("every effect is executed", [name])
                elif len(by_key) > 1 and not self._may_be_replayed(one):
                    self._fail("an effect has one key", [f"{name}: {[c.key for c in calls]}"])
                else:
                    for same in by_key.values():
                        self._check_repeats(name, same, result)
        strange = [name for name in self._seen.calls if name not in known]
        self._fail("no effect is without its event", strange)

    def _check_repeats(self, name: str, calls: Sequence[Call], result: Stored | None) -> None:
        """Show of every repeat that nobody had journalled the outcome before it began."""
        key = calls[0].key
        if calls[0].status == "mail" and result is not None:
            key = f"{result.document['run_id']}:{name.split('/')[1]}:1"
        journalled_ns = self._seen.journal.get(key)
        answered = [call for call in calls if call.status in ("200", "mail")]
        self._checked.figures.repeated += len(answered) > 1
        if journalled_ns is None:
            self._fail("every effect is journalled", [f"{name} ({key})"])
            return
        late = [call for call in calls if call.at_ns > journalled_ns]
        self._fail(
            "what was journalled is not executed again",
            [f"{name} ({key}): {(c.at_ns - journalled_ns) / 1e6:.1f} ms after" for c in late],
        )

    # ── Dead letters, counters, speed ────────────────────────────────────────────────────────

    def _check_letters(self, wanted: Sequence[Wanted]) -> None:
        found = Counter(_letter_key(item.document) for item in self._seen.letters)
        expected = {(one.event_id, one.flow) for one in wanted if one.outcome.has_letter}
        self._fail("what failed is kept", [str(key) for key in expected if key not in found])
        self._fail("a letter is kept once", [str(k) for k, times in found.items() if times > 1])
        self._fail(
            "only what failed is kept",
            [
                f"{item.document.get('flow')}: {item.document.get('reason')}, "
                f"{item.document.get('error')}"
                for item in self._seen.letters
                if _letter_key(item.document) not in expected
            ],
        )
        self._checked.figures.letters = len(self._seen.letters)

    def _check_counters(
        self, wanted: Sequence[Wanted], results: Mapping[tuple[str, str], Stored]
    ) -> None:
        counting = [one for one in wanted if one.flow == "count-script"]
        for shard in range(COUNTERS):
            mine = [one for one in counting if one.number % COUNTERS == shard]
            kept = self._seen.state.get(f"count-{shard}", 0)
            if kept != len(mine):
                self._fail("counters count", [f"counter {shard} is {kept} after {len(mine)}"])
            told = [
                results[key].document["output"]["count"]
                for one in mine
                if (key := (one.event_id, one.flow)) in results
                and results[key].document["status"] == "completed"
            ]
            if sorted(told) != list(range(1, len(told) + 1)):
                self._fail("no two runs count the same", [f"counter {shard}"])
        lost = [
            one.number
            for one in wanted
            if one.flow == "keep-node" and self._seen.state.get(f"kept-{one.number}") != one.number
        ]
        self._fail("what was set is there", [str(number) for number in lost])

    def _check_sleepers(self) -> None:
        """Between the calls before and after a `wait` lies at least its time."""
        for item in self._seen.events:
            number, payload = self._number(item), item.document["payload"]
            before = self._seen.calls.get(f"sleeper/before/{number}", ())
            after = self._seen.calls.get(f"sleeper/after/{number}", ())
            if not before or not after:
                continue
            sleep_ns = payload["sleep_ms"] * 1_000_000
            early_ns = before[0].at_ns + sleep_ns - after[0].at_ns
            if early_ns > 0:
                self._fail("nobody wakes early", [f"{number}: by {early_ns / 1e6:.0f} ms"])
            late = (after[0].at_ns - before[-1].at_ns - sleep_ns) / NANOSECONDS
            figures = self._checked.figures
            figures.latest_seconds = max(figures.latest_seconds, late)

    def _note_speed(
        self, wanted: Sequence[Wanted], results: Mapping[tuple[str, str], Stored]
    ) -> None:
        seconds = sorted(
            (results[one.event_id, one.flow].at_ns - one.stored_ns) / NANOSECONDS
            for one in wanted
            if (one.event_id, one.flow) in results and one.flow != "sleeper"
        )
        if seconds:
            self._checked.figures.slowest_seconds = seconds[-1]
            self._checked.figures.median_seconds = seconds[len(seconds) // 2]

    def _fail(self, check: str, texts: Sequence[str]) -> None:
        if texts:
            self._checked.broken.setdefault(check, []).extend(texts)


def _letter_key(document: Any) -> tuple[str, str]:
    event = document.get("event") or {}
    return str(event.get("id", "")), str(document.get("flow"))
