"""What the load is made of, and what must come of it.

In: nothing; these are facts about the flows in ``bundle`` and ``bundle_lanes``. Out: for each kind
of event the runs, calls, mails and dead letters that each one of it must have.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ENV: Final = "dev"
TENANT: Final = "demo"
BUNDLE: Final = Path(__file__).with_name("bundle")
LANES: Final = Path(__file__).with_name("bundle_lanes")
COUNTERS: Final = 8
"""Counters that the counting events are spread over, so that they contend, but not all for one."""

BATCH_MAX: Final = 4
NARROW_MAX: Final = 2
"""Limits of the flows ``batched`` and ``narrow``."""

Judge = Callable[[int, Any], bool]


def _says(text: str) -> Judge:
    return lambda number, output: bool(output == text.format(n=number))


def _pure(number: int, output: Any) -> bool:
    square = number * number if number % 2 == 0 else -number
    return bool(output == f"{number} gives {square}")


def _counted(number: int, output: Any) -> bool:
    return isinstance(output, dict) and output.get("shard") == number % COUNTERS


@dataclass(frozen=True)
class Outcome:
    """What one flow comes to for one event."""

    calls: tuple[str, ...] = ()
    """Nodes that call the service outside, with their flow: ``calls/first``."""
    mails: tuple[str, ...] = ()
    judge: Judge = field(default=lambda _number, _output: True)
    status: str = "completed"
    may_refuse: bool = False
    """Flow control may reject it; then nothing of it happens."""
    shares_calls: bool = False
    """One call is made for several events, under the number of the first."""

    @property
    def has_letter(self) -> bool:
        return self.status == "failed"


@dataclass(frozen=True)
class Kind:
    """One type of event: the flows that take it, by name."""

    event_type: str
    flows: Mapping[str, Outcome]
    emits: str | None = None
    """The type of the event that one of the flows makes of it, once."""
    weight: int = 1
    """How many of the load's events are of this type, relative to the others."""


KINDS: Final = (
    Kind("pure.made", {"pure": Outcome(judge=_pure)}, weight=3),
    Kind(
        "calls.made",
        {
            "calls": Outcome(
                ("calls/first", "calls/second", "calls/third"),
                judge=_says("{n} called 200 200 200"),
            )
        },
        weight=3,
    ),
    Kind("mail.wanted", {"mail": Outcome(mails=("mail/send",), judge=_says("{n} mailed"))}),
    Kind(
        "chain.begun",
        {"chain-first": Outcome(("chain-first/note",), judge=_says("{n} emitted"))},
        emits="chain.next",
        weight=2,
    ),
    Kind(
        "chain.next",
        {"chain-second": Outcome(("chain-second/ring",), judge=_says("{n} arrived"))},
        weight=0,
    ),
    Kind(
        "count.made",
        {
            "count-script": Outcome(("count-script/note",), judge=_counted),
            "keep-node": Outcome(judge=lambda number, output: bool(output == number)),
        },
        weight=3,
    ),
    Kind(
        "retry.wanted",
        {
            "node-retry": Outcome(("node-retry/ring",), judge=_says("{n} retried 200")),
            "flow-retry": Outcome(
                ("flow-retry/before", "flow-retry/ring"), judge=_says("{n} went on")
            ),
        },
    ),
    Kind(
        "trouble.made",
        {
            "caught": Outcome(
                ("caught/before", "caught/mend"), judge=_says("{n} caught flow_error")
            ),
            "doomed": Outcome(("doomed/before",), status="failed"),
        },
    ),
    Kind(
        "sleep.wanted",
        {"sleeper": Outcome(("sleeper/before", "sleeper/after"), judge=_says("{n} slept"))},
        weight=2,
    ),
    Kind(
        "sub.wanted",
        {
            "caller": Outcome(
                ("callee/inner", "callee/more", "caller/after"), judge=_says("{n} asked: 200 200")
            )
        },
    ),
    Kind(
        "start.wanted",
        {
            "starter": Outcome(("starter/after",), judge=_says("{n} started")),
            "started": Outcome(("started/ring",), judge=_says("{n} was started")),
        },
    ),
)
"""The flows of ``bundle``."""


def _batched(number: int, output: Any) -> bool:
    return isinstance(output, list) and number in output and len(output) <= BATCH_MAX


LANE_KINDS: Final = (
    Kind("order.made", {"in-order": Outcome(("in-order/ring",), judge=_says("{n} in order"))}),
    Kind("narrow.made", {"narrow": Outcome(("narrow/ring",), judge=_says("{n} passed"))}),
    Kind("batch.made", {"batched": Outcome(("batched/ring",), judge=_batched, shares_calls=True)}),
    Kind("throttle.made", {"throttled": Outcome(("throttled/ring",), judge=_says("{n} in time"))}),
    Kind(
        "single.made",
        {"single": Outcome(("single/ring",), judge=_says("{n} alone"), may_refuse=True)},
    ),
    Kind(
        "debounce.made",
        {"debounced": Outcome(("debounced/ring",), judge=_says("{n} at last"), may_refuse=True)},
    ),
    Kind("isolated.made", {"isolated": Outcome(("isolated/ring",), judge=_says("{n} apart"))}),
)
"""The flows of ``bundle_lanes``."""

SLEEPERS: Final = tuple(kind for kind in KINDS if kind.event_type == "sleep.wanted")


def payload_of(number: int, *, base: str, flaky: str, sleep_ms: int) -> dict[str, Any]:
    """Give the payload of an event of any kind."""
    return {
        "number": number,
        "shard": number % COUNTERS,
        "base": base,
        "flaky": flaky,
        "sleep_ms": sleep_ms,
    }


def write_bundle(source: Path, folder: Path, *, smtp_port: int) -> Path:
    """Copy a bundle and give it what it must know of the world outside."""
    (folder / "flows").mkdir(parents=True)
    for path in (source / "greentic.demo.yaml", *sorted((source / "flows").glob("*.ygtc"))):
        (folder / path.relative_to(source)).write_bytes(path.read_bytes())
    (folder / "greentic.toml").write_text('[security]\nallow_private = ["127.0.0.0/8"]\n')
    smtp = {
        "enabled": True,
        "host": "127.0.0.1",
        "port": smtp_port,
        "tls": "none",
        "from_email": "suite@example.org",
    }
    answers = {"events-webhook": {"enabled": True}, "events-email-smtp": smtp}
    (folder / "answers.json").write_text(json.dumps(answers))
    return folder
