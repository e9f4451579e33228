"""Triggers: checked and compiled (SPEC 4, 12.5).

In: a draft's triggers. Out: compiled triggers and findings. Refuses patterns that no event type can
match, times that cannot be read, and filters that need to wait.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import available_timezones

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean
from actors.errors import InvalidEventError, InvalidSubjectError
from actors.events import EVENT_TYPE_BYTES_MAX, check_event_type
from actors.flows.compiled import CompiledTrigger, Overlap, TimerSchedule
from actors.flows.control_compiler import decides_order
from actors.flows.cron import parse_cron
from actors.flows.definition import (
    TRIGGERS_MAX,
    DefaultTrigger,
    EventTrigger,
    TimerTrigger,
    Trigger,
)
from actors.flows.draft import Draft, PlacedTrigger
from actors.nodes.site import SECRETS, STATE, NodeSite
from actors.subjects import check_pattern, flow_tokens
from grammar import Program

TIMER_NAME_TOKENS_MAX: Final = 6
"""Of a flow's name in ``timer.<flow>.<n>``: an event type has at most eight tokens (SPEC 6)."""

TICKS_LOOKED_AT: Final = 64
"""Of a timer with jitter, for the shortest time between two: an hour of every minute, and more."""

GAPS_REMEMBERED_MAX: Final = 256
"""Expressions whose shortest gap is kept: tenants like the same times."""

_SOME_INSTANT_MS: Final = 1_704_067_200_000
"""2024-01-01: from any instant, a time that is not met within 28 years never comes."""


def compile_triggers(draft: Draft, site: NodeSite) -> tuple[CompiledTrigger, ...]:
    """Compile every trigger that starts runs; ``number`` counts all triggers of the file."""
    compiled: list[CompiledTrigger] = []
    timers = 0
    for placed in draft.triggers:
        if placed.definition is None:
            continue
        timers += isinstance(placed.definition, TimerTrigger)
        compiled.append(_compile(draft, site, placed, placed.definition, timers))
    return tuple(compiled)


def _compile(
    draft: Draft, site: NodeSite, placed: PlacedTrigger, trigger: Trigger, timer_number: int
) -> CompiledTrigger:
    number, path = placed.index + 1, ("triggers", placed.index)
    condition = None if trigger.filter is None else _compile_filter(trigger.filter, site, path)
    if isinstance(trigger, EventTrigger):
        site.findings.extend(_check_event_type(trigger.event_type, (*path, "event_type")))
        return CompiledTrigger(
            number, "event", trigger.target, pattern=trigger.event_type, filter=condition
        )
    if isinstance(trigger, DefaultTrigger):
        return CompiledTrigger(number, "default", trigger.target, filter=condition)
    timezone = trigger.timezone or site.resources.timezone
    site.findings.extend(_check_timer(draft.name, trigger, timezone, path))
    return CompiledTrigger(
        number,
        "timer",
        trigger.target,
        pattern=f"timer.{flow_tokens(draft.name)}.{timer_number}",
        filter=condition,
        schedule=TimerSchedule(
            trigger.cron,
            timezone,
            trigger.misfire,
            overlap=_overlap_of(draft, trigger),
            jitter_ms=trigger.jitter,
        ),
    )


def _overlap_of(draft: Draft, timer: TimerTrigger) -> Overlap:
    """Leave it to flow control, where there is any, whether a tick runs beside another."""
    return "allow" if decides_order(draft.config) else timer.overlap


def _compile_filter(text: str, site: NodeSite, path: DocumentPath) -> Program:
    program = site.at(*path).condition(text, "filter")
    for name in (STATE, SECRETS):
        if name in program.names:
            message = f"a filter cannot use {name!r}: it is decided before the run begins"
            hint = "test it in the flow, with a branch node"
            site.findings.append(
                Diagnostic("error", "flow.filter_name", (*path, "filter"), message, hint)
            )
    return program


def _check_event_type(pattern: str, path: DocumentPath) -> Iterator[Diagnostic]:
    try:
        check_pattern(pattern)
        if "*" not in pattern and ">" not in pattern:
            check_event_type(pattern)
    except (InvalidSubjectError, InvalidEventError) as error:
        hint = None
        if pattern != pattern.lower():
            hint = f"event types are lower-case: {pattern.lower()!r}"
        yield Diagnostic("error", "flow.bad_event_type", path, str(error), hint)


def _check_timer(
    flow: str, trigger: TimerTrigger, timezone: str, path: DocumentPath
) -> Iterator[Diagnostic]:
    yield from _check_timer_name(flow, path)
    problem = _timezone_problem(timezone)
    if problem is not None:
        hint = did_you_mean(timezone, available_timezones())
        yield Diagnostic("error", "flow.bad_timezone", (*path, "timezone"), problem, hint)
    yield from _check_cron(trigger.cron, (*path, "cron"))
    yield from _check_jitter(trigger, path)


def _check_timer_name(flow: str, path: DocumentPath) -> Iterator[Diagnostic]:
    """Check that ``timer.<flow>.<n>`` can be an event type for every n."""
    tokens = flow.count("/") + 1
    characters_max = EVENT_TYPE_BYTES_MAX - len(f"timer..{TRIGGERS_MAX}")
    if tokens <= TIMER_NAME_TOKENS_MAX and len(flow) <= characters_max:
        return
    message = (
        f"the flow's name has {tokens} tokens and {len(flow)} characters; with a timer it may have"
        f" {TIMER_NAME_TOKENS_MAX} and {characters_max}, since its events are timer.<flow>.<n>"
    )
    yield Diagnostic("error", "flow.timer_name", path, message)


def _check_jitter(trigger: TimerTrigger, path: DocumentPath) -> Iterator[Diagnostic]:
    gap_ms = _shortest_gap_ms(trigger.cron) if trigger.jitter else None
    if gap_ms is not None and trigger.jitter >= gap_ms:
        message = (
            f"a jitter of {trigger.jitter} ms is not shorter than the {gap_ms} ms between two ticks"
            " of this timer; no tick is delayed past the next one"
        )
        yield Diagnostic("warning", "flow.jitter", (*path, "jitter"), message)


@lru_cache(maxsize=GAPS_REMEMBERED_MAX)
def _shortest_gap_ms(expression: str) -> int | None:
    """Give the shortest time between two of the next ticks; None where there are no two."""
    try:
        schedule = parse_cron(expression, "UTC")
    except ValueError:
        return None
    ticks = [_SOME_INSTANT_MS]
    while len(ticks) <= TICKS_LOOKED_AT:
        tick = schedule.next_after(ticks[-1])
        if tick is None:
            break
        ticks.append(tick)
    return min((later - earlier for earlier, later in pairwise(ticks[1:])), default=None)


def _timezone_problem(timezone: str) -> str | None:
    try:
        parse_cron("0 0 * * *", timezone)
    except ValueError as error:
        return str(error)
    return None


def _check_cron(expression: str, path: DocumentPath) -> Iterator[Diagnostic]:
    try:
        schedule = parse_cron(expression, "UTC")
    except ValueError as error:
        hint = "minute hour day month weekday, like '0 9 * * 1'; or six fields, seconds first"
        yield Diagnostic("error", "flow.bad_cron", path, str(error), hint)
        return
    if schedule.next_after(_SOME_INSTANT_MS) is None:
        message = f"{expression!r} names a time that never comes"
        yield Diagnostic("warning", "flow.cron_never", path, message)
