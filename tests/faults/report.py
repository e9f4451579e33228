"""What a run of the suite tells: a table for people, JSON for machines.

In: rows, one for each fault. Out: text. A row with findings makes the whole run fail.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.faults.checker import Figures, Finding

COLUMNS: Final = (
    "fault",
    "injected",
    "events",
    "runs",
    "effects",
    "executed",
    "repeated",
    "troubled",
    "median s",
    "slowest s",
    "quiet s",
    "findings",
)


@dataclass
class Row:
    """What was done in the name of one fault, and found."""

    fault: str
    seed: int
    injected: Mapping[str, int] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    quiet_seconds: float = 0.0
    """From the last event until nothing was left to do."""
    sender_seconds: float = 0.0
    """The longest that a sender had to wait for its 2xx."""
    stop_seconds: float = 0.0
    """The longest that a process at rest took to end after SIGTERM."""
    holdings: Mapping[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    skipped: str | None = None
    folder: str = ""

    def cells(self) -> Sequence[str]:
        figures = self.figures
        done = ", ".join(f"{times} {what}" for what, times in self.injected.items())
        return (
            self.fault,
            f"skipped: {self.skipped}" if self.skipped else done or "nothing",
            *map(str, (figures.events, figures.runs, figures.effects, figures.executions)),
            *map(str, (figures.repeated, figures.refused)),
            f"{figures.median_seconds:.2f}",
            f"{figures.slowest_seconds:.1f}",
            f"{self.quiet_seconds:.1f}",
            str(len(self.findings)),
        )


def render_text(rows: Sequence[Row], seed: int) -> str:
    """Draw the table, and below it every finding."""
    cells = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(COLUMNS))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    for row in rows:
        lines += [f"! {row.fault}: {item.check}: {item.text}" for item in row.findings]
        if row.findings:
            lines.append(f"  {row.fault}: again with --only {row.fault} --seed {row.seed}")
    lines.append(f"seed {seed}: {'FAILED' if has_findings(rows) else 'all promises held'}")
    return "\n".join(line.rstrip() for line in lines)


def render_json(rows: Sequence[Row], seed: int) -> str:
    """Write everything as one document."""
    document = {"seed": seed, "ok": not has_findings(rows), "faults": [asdict(row) for row in rows]}
    return json.dumps(document, indent=2)


def has_findings(rows: Sequence[Row]) -> bool:
    return any(row.findings for row in rows)
