"""One test of a flow, run: the given world around it, and everything that it did.

In: a case and the flow. Out: a `Seen` document in the words of test files. HTTP and providers are
the case's doubles: nothing leaves this process. A call that no double takes is noted, whatever the
flow makes of its failure.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.errors import PermanentError, TransientError
from actors.events import Event, parse_event
from actors.flows.compiled import CompiledFlow
from actors.outcomes import Completed, Failed
from actors.ports import ActionRequest, HttpRequest, HttpResponse, StateScope
from actors.testing.actions import MemoryActions
from actors.testing.http import MemoryHttp
from actors.testing.ids import CountingIds
from actors.testing.instant_clock import InstantClock
from actors.testing.local import LocalRun, LocalWorld, run_locally
from actors.testing.secrets import MemorySecrets
from actors.testing.state import MemoryStateStore
from app.bundle.flow_test_models import ActionDouble, FlowCase, HttpDouble
from app.errors import CommandError

_JSON: Final = "application/json"


@dataclass(slots=True)
class Seen:
    """What a run did, as plain values."""

    facts: dict[str, Any]
    """By the keys of `expect`."""
    state: dict[str, Any]
    """Values of the keys that the case names."""
    complaints: list[str] = field(default_factory=list)
    """What is wrong whatever is expected: calls without a double, doubles without a call."""


async def run_case(
    case: FlowCase, flow: CompiledFlow, flows: Mapping[str, CompiledFlow], tenant: str
) -> Seen:
    """Run one case. InvalidEventError: its event is none."""
    clock = InstantClock(case.now_ms)
    event = _event_of(case, flow)
    scope = _scope_of(tenant, event.payload)
    state = MemoryStateStore(clock)
    for key, value in case.state.items():
        await state.put(scope, key, value)
    services, providers = _Services(case.http), _Providers(case.actions)
    http, actions = MemoryHttp(services.answer), MemoryActions(providers.answer)
    secrets = MemorySecrets({(tenant, name): value for name, value in case.secrets.items()})
    place = LocalWorld(
        case.env, tenant, http, clock, CountingIds(), state=state, secrets=secrets, actions=actions
    )
    run = await run_locally(flow, flows, event, place)
    facts = _facts(run)
    facts["http"] = [_call(request) for _, request in http.calls]
    facts["actions"] = [_action(request) for request in actions.requests]
    keys = (*case.state, *(case.expect.state or {}))
    kept = {key: (await state.get(scope, key)).value for key in keys}
    return Seen(facts, kept, [*services.complaints(), *providers.complaints()])


def url_fits(pattern: str, url: str) -> bool:
    """Tell whether a URL is that of a pattern, in which `*` stands for anything."""
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), url, re.DOTALL) is not None


# ── What is given ────────────────────────────────────────────────────────────────────────────


def _event_of(case: FlowCase, flow: CompiledFlow) -> Event:
    given = case.event
    event_type = given.type or type_of(flow)
    if event_type is None:
        message = f"{flow.name} is triggered by no single event type"
        raise CommandError(message, hint="name the event's type")
    metadata: dict[str, Any] = dict(given.metadata)
    if given.headers:
        metadata["headers"] = {name.lower(): value for name, value in given.headers.items()}
    if given.query:
        metadata["query"] = dict(given.query)
    document = {
        "id": given.id,
        "event_type": event_type,
        "source": given.source,
        "timestamp": case.now_ms if given.timestamp is None else given.timestamp,
        "payload": given.payload,
    }
    return parse_event(document | ({"metadata": metadata} if metadata else {}))


def type_of(flow: CompiledFlow) -> str | None:
    """Give the first event type that triggers a flow and is no pattern."""
    patterns = (trigger.pattern for trigger in flow.triggers)
    return next((p for p in patterns if p is not None and not {"*", ">"} & set(p)), None)


def _scope_of(tenant: str, payload: Any) -> StateScope:
    names = payload if isinstance(payload, dict) else {}
    team, session = (names.get(key) for key in ("team_id", "session_id"))
    return StateScope(
        tenant,
        team if isinstance(team, str) and team else None,
        session if isinstance(session, str) and session else None,
    )


class _Services:
    """The web services of a case."""

    def __init__(self, doubles: Sequence[HttpDouble]) -> None:
        self._doubles = doubles
        self._taken: Counter[int] = Counter()
        self._unexpected: list[str] = []

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one call."""
        for index, double in enumerate(self._doubles):
            if self._fits(index, double, request):
                self._taken[index] += 1
                return _canned(double)
        call = f"{request.method} {request.url}"
        self._unexpected.append(f"no double under 'http' takes the call {call}")
        raise PermanentError(f"the test has no answer for {call}", reason="http.refused")

    def complaints(self) -> list[str]:
        """Tell of calls without a double, and of doubles that were not called as they should."""
        return [
            *self._unexpected,
            *(
                f"http.{index}: {double.url} was called {self._taken[index]} times"
                for index, double in enumerate(self._doubles)
                if self._taken[index] < (double.times or 1)
            ),
        ]

    def _fits(self, index: int, double: HttpDouble, request: HttpRequest) -> bool:
        if double.times is not None and self._taken[index] >= double.times:
            return False
        if double.method is not None and double.method.upper() != request.method.upper():
            return False
        return url_fits(double.url, request.url)


def _canned(double: HttpDouble) -> HttpResponse:
    if double.error is not None:
        raise TransientError("the test lets this call fail", reason=double.error)
    answer = double.answer
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if isinstance(answer.body, str):
        return HttpResponse(answer.status, headers, answer.body.encode())
    if not answer.says("body"):
        return HttpResponse(answer.status, headers, b"")
    body = json.dumps(answer.body, ensure_ascii=False).encode()
    return HttpResponse(answer.status, {"content-type": _JSON} | headers, body)


class _Providers:
    """The providers of a case. An action that no double takes is accepted: `expect` judges it."""

    def __init__(self, doubles: Sequence[ActionDouble]) -> None:
        self._doubles = doubles
        self._taken: set[int] = set()

    def answer(self, request: ActionRequest) -> Mapping[str, Any]:
        """Answer one action."""
        for index, double in enumerate(self._doubles):
            if (double.provider, double.action) == (request.provider, request.action):
                self._taken.add(index)
                if double.error is not None:
                    raise PermanentError("the test lets this action fail", reason=double.error)
                return double.answer
        return {"status": "accepted"}

    def complaints(self) -> list[str]:
        """Tell of doubles that nobody called."""
        return [
            f"actions.{index}: {double.provider} {double.action} was not called"
            for index, double in enumerate(self._doubles)
            if index not in self._taken
        ]


# ── What was done ────────────────────────────────────────────────────────────────────────────


def _facts(run: LocalRun) -> dict[str, Any]:
    outcome = run.outcome
    answer = run.answers[0] if run.answers else None
    return {
        "status": "skipped" if outcome is None else type(outcome).__name__.lower(),
        "trigger": run.trigger,
        "path": list(run.path),
        "output": outcome.output if isinstance(outcome, Completed) else None,
        "error": outcome.error.as_mapping() if isinstance(outcome, Failed) else None,
        "answer": None
        if answer is None
        else {"status": answer.status, "headers": _lowered(answer.headers), "body": answer.body},
        "events": [
            {"event_type": event.event_type, "payload": event.payload} for event in run.emitted
        ],
        "starts": [{"flow": item.flow, "payload": item.event.payload} for item in run.started],
        "logs": [{"level": line.level, "message": line.message} for line in run.logged],
    }


def _call(request: HttpRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": _lowered(dict(request.headers)),
        "body": _body(request.body),
    }


def _action(request: ActionRequest) -> dict[str, Any]:
    return {
        "provider": request.provider,
        "action": request.action,
        "arguments": dict(request.arguments),
    }


def _body(data: bytes | None) -> Any:
    """Read a body as JSON if it is any, else as text."""
    if not data:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
