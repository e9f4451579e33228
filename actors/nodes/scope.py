"""The names that expressions, scripts and templates of a run can see (SPEC 5).

In: the event, the flow's variables, who asks. Out: a dict that the language reads in place. A bare
name that is none of these is looked up in the payload, as the documentation's flows expect.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from actors.events import Event

_FROM_PAYLOAD = ("team_id", "session_id", "message")
"""Names of messaging runs; for events they come out of the payload, or are unit."""


class RunScope(dict[str, Any]):
    """Names to values. ``scope[name]`` of a missing name falls to the payload, then KeyError."""

    __slots__ = ("_payload",)

    def __init__(self, names: Mapping[str, Any], payload: Any) -> None:
        super().__init__(names)
        self._payload = payload if isinstance(payload, dict) else {}

    def __missing__(self, name: str) -> Any:
        return self._payload[name]

    def for_sub_flow(self, names: Mapping[str, Any], payload: Any) -> "RunScope":
        """Give a fresh scope over these names with ``names`` on top and another payload."""
        return RunScope({**self, **names}, payload)


def build_scope(
    event: Event,
    *,
    env: str,
    tenant: str,
    now_seconds: int,
    variables: Mapping[str, Any],
    events: Sequence[Event] = (),
) -> RunScope:
    """Bind the names of a fresh run. ``now_seconds`` is journalled with the run, so it is given.

    ``events`` are a batch's; only then the name `events` is there.
    """
    metadata = event.metadata or {}
    payload = event.payload
    names: dict[str, Any] = {
        "event": event.as_mapping(),
        "payload": payload,
        "headers": metadata.get("headers") or {},
        "query": metadata.get("query") or {},
        "flow": variables,
        "tenant_id": tenant,
        "env": env,
        "now": now_seconds,
    }
    from_payload = payload if isinstance(payload, dict) else {}
    for name in _FROM_PAYLOAD:
        names[name] = from_payload.get(name)
    if events:
        names["events"] = [one.as_mapping() for one in events]
    return RunScope(names, payload)
