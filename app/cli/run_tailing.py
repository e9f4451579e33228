"""``run tail``: listens to the records of a tenant's runs and prints each run as it ends.

In: where, whose and which. Out: lines, and how many. Refuses flows that are no name. A record that
is stored twice, as after a crash, is shown once.
"""

import asyncio
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from actors.subjects import flow_tokens, run_record_subject
from app.bus.direct import StoredMessage
from app.bus.wire import Received
from app.cli.connecting import bus_settings, chosen_env
from app.cli.event import DataOption, EnvOption, NatsOption
from app.cli.listening import Enough, listen
from app.cli.run_looking import (
    CorrelationOption,
    FlowOption,
    JsonOption,
    StatusOption,
    TenantOption,
    TypeOption,
)
from app.cli.run_text import tail_line
from app.control.kept_runs import KeptRun, RunFilter, runs_in
from app.errors import CommandError

SHOWN_MAX: Final = 10_000
"""Runs that were shown and are known again."""
_FLOW: Final = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*")
_ANY: Final = "any"
_COMPLETED: Final = "completed"


@dataclass(frozen=True, slots=True)
class RunTail:
    """What to listen to."""

    env: str
    tenant: str
    which: RunFilter
    only_failed: bool = False
    """Only runs that did not complete."""

    def subject(self) -> str:
        """Give the subject that carries the records. InvalidSubjectError, CommandError."""
        root = run_record_subject(self.env, self.tenant, _ANY).removesuffix(_ANY)
        flow = self.which.flow
        if flow is None:
            return f"{root}>"
        if not _FLOW.fullmatch(flow):
            raise CommandError(f"{flow[:128]!r} is no name of a flow")
        return f"{root}{flow_tokens(flow)}"


class RunLines:
    """Gives the lines of messages: `app.cli.listening.Lines`."""

    def __init__(self, tail: RunTail, *, as_json: bool) -> None:
        self._tail = tail
        self._as_json = as_json
        self._shown: OrderedDict[str, None] = OrderedDict()

    def of(self, message: Received) -> Iterator[Text | dict[str, Any]]:
        """Give a line for each run of a message that was asked for, in the order they ended."""
        if not self._tail.which.may_be_in(message.data):
            return
        stored = StoredMessage(message.subject, 0, message.data, {})
        for run in reversed(list(runs_in(stored, self._tail.tenant))):
            if self._is_wanted(run) and self._is_new(run.run_id):
                yield run.as_document() if self._as_json else tail_line(run.as_summary())

    def _is_wanted(self, run: KeptRun) -> bool:
        if self._tail.only_failed and run.record["status"] == _COMPLETED:
            return False
        return self._tail.which.matches(run)

    def _is_new(self, run_id: str) -> bool:
        if run_id in self._shown:
            return False
        self._shown[run_id] = None
        if len(self._shown) > SHOWN_MAX:
            self._shown.popitem(last=False)
        return True


def tail_runs(
    *,
    tenant: TenantOption = "demo",
    flow: FlowOption = None,
    status: StatusOption = None,
    event_type: TypeOption = None,
    correlation: CorrelationOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only that did not complete, however they ended.")
    ] = False,
    count: Annotated[int, typer.Option("--count", min=0, help="End after so many; 0: never.")] = 0,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", min=0, help="End after so many seconds; 0: never.")
    ] = 0,
    data: DataOption = None,
    nats_url: NatsOption = None,
    env: EnvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's runs as they end, a line each; Ctrl-C ends it.

    Runs that ended before are not shown: `run list` has them. With --json each line is a run's
    whole record. With --count the exit code is 1 when the time is over before so many were seen.
    """
    which = RunFilter(
        flow=flow,
        status=None if status is None else status.value,
        event_type=event_type,
        correlation_id=correlation,
    )
    tail = RunTail(chosen_env(env, os.environ), tenant, which, only_failed=failed)
    subject = tail.subject()
    settings = bus_settings(nats_url, data, os.environ)
    lines = RunLines(tail, as_json=as_json)
    enough = Enough(count, timeout_seconds)
    seen = asyncio.run(listen(settings, [subject], lines.of, enough))
    if seen < count:
        raise CommandError(f"saw {seen} of {count} within {timeout_seconds:g} s")
