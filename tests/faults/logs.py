"""What the processes under test said: nothing at error level that nobody expects.

In: log files, one JSON document a line. Out: what a person would have to act on, and every line that
is no log line at all: a traceback, a warning of the interpreter.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.processes import Member

EXPECTED_ERRORS: Final = frozenset({"flow.logged", "run.finished"})
"""Lines whose level is the flow's own choice, or tells of a run that fails on purpose."""
TEXT_CHARS_MAX: Final = 300


def unexpected_lines(members: Sequence[Member]) -> list[str]:
    """Give what should not have been said, each kind once with how often."""
    found = Counter(text for member in members for text in _unexpected(member.log))
    return [f"{text} (x{times})" for text, times in found.most_common()]


def _unexpected(log: Path) -> list[str]:
    texts = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            texts.append(line[:TEXT_CHARS_MAX])
            continue
        event = str(document.get("event"))
        if document.get("level") in ("error", "critical") and event not in EXPECTED_ERRORS:
            code = document.get("error_code") or document.get("reason") or ""
            error = str(document.get("error") or document.get("exception") or "")
            texts.append(f"{event} {code} {error}"[:TEXT_CHARS_MAX].strip())
    return texts
