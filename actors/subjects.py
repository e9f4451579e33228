"""The names of things on NATS (SPEC 2, DESIGN 3): built and parsed here and nowhere else.

In: env, tenant, event type, flow, run. Out: subjects, and patterns matched or covered. Refuses any
env or tenant that is not a single token, so that no name can reach into another tenant's space.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from actors.errors import InvalidEventError, InvalidSubjectError
from actors.events import EVENT_TYPE_BYTES_MAX, check_event_type

EVENTS_ROOT: Final = "greentic.events"
RESULT_SUFFIX: Final = ".result"
REPLY_ROOT: Final = "greentic.reply"

_TOKEN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PATTERN_TOKEN = re.compile(r"[a-z0-9_-]+|\*|>")
_NO_TOKEN = re.compile(r"[^A-Za-z0-9_:-]")
_EVENT_TOKEN_BYTES: Final = 10
_REPLY = re.compile(rf"{re.escape(REPLY_ROOT)}\.[A-Za-z0-9]{{1,40}}\.[A-Za-z0-9_-]{{1,128}}")


@dataclass(frozen=True, slots=True)
class EventSubject:
    """The parts of ``greentic.events.{env}.{tenant}.{type}`` or of its ``.result``."""

    env: str
    tenant: str
    event_type: str
    is_result: bool


@lru_cache(maxsize=4096)
def check_token(name: str, what: str) -> str:
    """Give ``name`` back if it can be one subject token (SPEC 2), else InvalidSubjectError."""
    if not _TOKEN.fullmatch(name):
        raise InvalidSubjectError(
            f"{what} {name!r} must match [a-z0-9][a-z0-9_-]{{0,62}}: it is one token of a subject"
        )
    return name


def build_event_subject(env: str, tenant: str, event_type: str) -> str:
    """Build the subject of an event notification; `parse_event_subject` is its inverse."""
    check_event_type(event_type)
    return f"{EVENTS_ROOT}.{_place(env, tenant)}.{event_type}"


def build_result_subject(env: str, tenant: str, event_type: str) -> str:
    """Build the subject that carries the results of one event type."""
    return build_event_subject(env, tenant, event_type) + RESULT_SUFFIX


def parse_event_subject(subject: str) -> EventSubject:
    """Take an event or result subject apart; InvalidSubjectError for anything else."""
    tokens = subject.split(".")
    if len(tokens) < 5 or tokens[:2] != ["greentic", "events"]:  # noqa: PLR2004 - root, env, tenant, type
        raise InvalidSubjectError(f"{subject!r} is no event subject: {EVENTS_ROOT}.ENV.TENANT.TYPE")
    env, tenant, *rest = tokens[2:]
    check_token(env, "env")
    check_token(tenant, "tenant")
    is_result = len(rest) > 1 and rest[-1] == "result"
    event_type = ".".join(rest[:-1] if is_result else rest)
    try:
        check_event_type(event_type)
    except InvalidEventError as error:
        raise InvalidSubjectError(f"{subject!r} is no event subject: {error}") from error
    return EventSubject(env, tenant, event_type, is_result)


def tenant_events(env: str, tenant: str) -> str:
    """Give the wildcard over everything in a tenant's event stream."""
    return f"{EVENTS_ROOT}.{_place(env, tenant)}.>"


def flow_tokens(flow: str) -> str:
    """Turn a flow's name into subject tokens: ``auth/login`` becomes ``auth.login``."""
    return flow.replace("/", ".")


def run_record_subject(env: str, tenant: str, flow: str) -> str:
    """Where the records of a flow's runs go."""
    return f"greentic.runs.{_place(env, tenant)}.{flow_tokens(flow)}"


def dead_letter_subject(env: str, tenant: str, event_id: str | None, letter_id: str) -> str:
    """Where what could not be finished is kept: below its event's token, under its own."""
    return f"greentic.dead.{_place(env, tenant)}.{_event_token(event_id)}.{_token_of(letter_id)}"


def dead_letters_of(env: str, tenant: str) -> str:
    """Give the wildcard over a tenant's dead letters."""
    return f"greentic.dead.{_place(env, tenant)}.>"


def dead_letters_of_event(env: str, tenant: str, event_id: str) -> str:
    """Give the wildcard over the dead letters of one event."""
    return f"greentic.dead.{_place(env, tenant)}.{_event_token(event_id)}.*"


def dead_letters_named(env: str, tenant: str, letter_id: str) -> str:
    """Give the wildcard over the letters whose id has one token with this one: seldom several."""
    return f"greentic.dead.{_place(env, tenant)}.*.{_token_of(letter_id)}"


def dead_letters_before(env: str, tenant: str) -> str:
    """Where earlier versions kept a tenant's dead letters: all on one subject."""
    return f"greentic.dead.{_place(env, tenant)}"


def audit_subject(env: str, tenant: str | None, action: str) -> str:
    """Where an entry of the audit log goes; ``action`` is dotted, no tenant is a dash."""
    return f"greentic.audit.{check_token(env, 'env')}.{_audited(tenant)}.{action}"


def audit_entries(env: str, tenant: str | None) -> str:
    """Give the wildcard over a tenant's entries, or those that concern no tenant."""
    return f"greentic.audit.{check_token(env, 'env')}.{_audited(tenant)}.>"


def audit_entries_of_all(env: str) -> str:
    """Give the wildcard over all entries."""
    return f"greentic.audit.{check_token(env, 'env')}.>"


def work_run_subject(env: str, tenant: str, run: str) -> str:
    """Where a due continuation of a run waits for a worker."""
    return f"greentic.work.{_place(env, tenant)}.run.{run}"


def work_schedule_subject(env: str, tenant: str, run: str) -> str:
    """Where a continuation waits for its time; no consumer's filter covers it."""
    return f"greentic.work.{_place(env, tenant)}.at.{run}"


def work_schedules(env: str, tenant: str) -> str:
    """Give the wildcard over a tenant's continuations that wait for their time."""
    return f"greentic.work.{_place(env, tenant)}.at.>"


def work_lane_subject(env: str, tenant: str, lane: str) -> str:
    """Where the runs of a flow with flow control wait; ``lane`` is `CompiledFlow.lane`."""
    return f"greentic.work.{_place(env, tenant)}.lane.{lane}"


def work_runs(env: str, tenant: str) -> str:
    """Give the wildcard over a tenant's due continuations."""
    return f"greentic.work.{_place(env, tenant)}.run.>"


def journal_entries(env: str, tenant: str, run: str) -> str:
    """Give the wildcard over the journal of one run."""
    return f"greentic.journal.{_place(env, tenant)}.{run}.*"


def journal_subject(env: str, tenant: str, run: str, step: str) -> str:
    """Where the outcome of one effect is written, once."""
    return f"greentic.journal.{_place(env, tenant)}.{run}.{step}"


def cancel_subject(env: str, tenant: str) -> str:
    """Where workers hear that a tenant's run is to be cancelled."""
    return f"greentic.control.{_place(env, tenant)}.cancel"


def reply_subject(instance: str, event_id: str) -> str:
    """Where an ingress process waits for the answers to one webhook."""
    return f"{REPLY_ROOT}.{instance}.{event_id}"


def is_reply_subject(subject: str) -> bool:
    """Tell whether a worker may answer there: a header must never aim it at another subject."""
    return _REPLY.fullmatch(subject) is not None


def check_pattern(pattern: str) -> None:
    """Refuse a trigger's event type pattern that NATS or SPEC 4 would not take."""
    if len(pattern) > EVENT_TYPE_BYTES_MAX:
        raise InvalidSubjectError(f"a pattern is longer than {EVENT_TYPE_BYTES_MAX} characters")
    tokens = pattern.split(".")
    if not all(_PATTERN_TOKEN.fullmatch(token) for token in tokens) or ">" in tokens[:-1]:
        raise InvalidSubjectError(
            f"{pattern!r} is no event type pattern: lower-case tokens, '*' for one token,"
            " '>' as the last for the rest"
        )
    if tokens[-1] == "result":
        raise InvalidSubjectError(f"{pattern!r} ends in 'result', which no event type does")


def matches_pattern(pattern: str, event_type: str) -> bool:
    """Tell whether an event type (never a ``.result``) matches a pattern with ``*`` and ``>``."""
    wanted, given = pattern.split("."), event_type.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and _tokens_match(wanted[:-1], given)
    return len(given) == len(wanted) and _tokens_match(wanted, given)


def cover_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Give few patterns, none overlapping, that together match all that ``patterns`` match.

    A consumer refuses overlapping filters (error 10138). Where two overlap and neither contains
    the other (``a.*`` and ``*.b``), both give way to the pattern that joins them.
    """
    cover: list[str] = []
    for candidate in sorted(set(patterns)):
        merged = candidate
        while overlap := next((other for other in cover if _overlaps(other, merged)), None):
            cover.remove(overlap)
            merged = _join(overlap, merged)
        cover.append(merged)
    return tuple(sorted(cover))


def _event_token(event_id: str | None) -> str:
    """Stand for an event id, which may be any printable text; ``-`` for what is no event."""
    if event_id is None:
        return "-"
    return hashlib.blake2b(event_id.encode(), digest_size=_EVENT_TOKEN_BYTES).hexdigest()


def _token_of(name: str) -> str:
    return _NO_TOKEN.sub("_", name)


def _place(env: str, tenant: str) -> str:
    return f"{check_token(env, 'env')}.{check_token(tenant, 'tenant')}"


def _tokens_match(wanted: list[str], given: list[str]) -> bool:
    return all(token in ("*", other) for token, other in zip(wanted, given, strict=False))


def _overlaps(left: str, right: str) -> bool:
    one, two = left.split("."), right.split(".")
    for a, b in zip(one, two, strict=False):
        if ">" in (a, b):
            return True
        if "*" not in (a, b) and a != b:
            return False
    return len(one) == len(two)


def _join(left: str, right: str) -> str:
    """Give the narrowest pattern that contains two overlapping ones."""
    joined: list[str] = []
    for a, b in zip(left.split("."), right.split("."), strict=False):
        if ">" in (a, b):
            return ".".join([*joined, ">"])
        joined.append(a if a == b else "*")
    return ".".join(joined)


def _audited(tenant: str | None) -> str:
    return "-" if tenant is None else check_token(tenant, "tenant")
