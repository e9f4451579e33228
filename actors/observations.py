"""What the core reports about itself: typed facts for the Observer port, never log lines.

In: nothing. Out: frozen dataclasses. ``app.observability`` turns each into a log line, a metric and
a span, so that the three never disagree. No payloads and no secrets in any of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventAccepted:
    """An ingress stored an event, or found it stored already."""

    tenant: str
    event_type: str
    event_id: str
    source: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class EventRefused:
    """An event was not taken in: the tenant is over a quota, which ``reason`` names."""

    tenant: str
    reason: str


@dataclass(frozen=True, slots=True)
class EffectPutOff:
    """A call, action or emitted event of a flow has to wait: the tenant is over a quota."""

    tenant: str
    reason: str


@dataclass(frozen=True, slots=True)
class SecretRead:
    """A call of a tenant asked for a secret; ``source`` gave it: store, file, environment, none."""

    tenant: str
    source: str


@dataclass(frozen=True, slots=True)
class BacklogMeasured:
    """A tenant's stored and unprocessed events, at most a few seconds ago.

    ``lost`` is how many the stream has let go unprocessed since this process began.
    """

    tenant: str
    events: int
    bytes: int
    lost: int


@dataclass(frozen=True, slots=True)
class DeliveryUnwanted:
    """An event reached the router and no flow wants it."""

    tenant: str
    event_type: str


@dataclass(frozen=True, slots=True)
class DeliveryParked:
    """A message that is no event went to the dead letters."""

    tenant: str
    subject: str
    error_code: str


@dataclass(frozen=True, slots=True)
class LetterParked:
    """A dead letter was stored. ``flow`` None: it is a message that is no event."""

    tenant: str
    flow: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class EventRedriven:
    """A delivery came again and its event had dead letters: so many runs were started anew."""

    tenant: str
    event_id: str
    letters: int


@dataclass(frozen=True, slots=True)
class RedriveSkipped:
    """A delivery came again, and whether its event has dead letters could not be found out."""

    tenant: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run reached its outcome. ``outcome`` is a status, or ``continued`` or ``interrupted``."""

    tenant: str
    flow: str
    run_id: str
    event_id: str
    event_type: str
    outcome: str
    error_code: str | None
    node: str | None
    attempt: int
    steps: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class FlowLogged:
    """A `log` node, or a script's ``print``, said something."""

    tenant: str
    flow: str
    run_id: str
    node: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class ScriptPooled:
    """A script ran in a process of the pool, well or not: its wait for one, and its own time."""

    tenant: str
    wait_ms: float
    run_ms: float


@dataclass(frozen=True, slots=True)
class ScriptProcessLost:
    """A script process was ended or ended itself: died, overran, garbled, memory or abandoned."""

    tenant: str
    how: str
    pid: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer's tick was stored; ``late_ms`` after its time."""

    tenant: str
    flow: str
    event_type: str
    scheduled_ms: int
    late_ms: int
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class DeploymentApplied:
    """A worker runs a tenant's deployment of this revision."""

    tenant: str
    revision: str
    flows: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call to a service outside came to its end. ``outcome`` is `2xx` and so on, or a reason.

    ``open_circuits`` is how many hosts of tenants are left alone since they did not answer.
    """

    tenant: str
    outcome: str
    duration_ms: int
    open_circuits: int


@dataclass(frozen=True, slots=True)
class LaneRefused:
    """Flow control ended a run before it began, or in favour of a later one. ``rule`` names it."""

    tenant: str
    flow: str
    rule: str


@dataclass(frozen=True, slots=True)
class LanePutOff:
    """A throttle sent a run back to its lane, to come again at its time."""

    tenant: str
    flow: str
    wait_ms: int


@dataclass(frozen=True, slots=True)
class LaneBatched:
    """Events were made one run."""

    tenant: str
    flow: str
    events: int


@dataclass(frozen=True, slots=True)
class LaneHeld:
    """What a worker has of a lane now: runs that wait, run and sleep, and places left."""

    tenant: str
    lane: str
    waiting: int
    working: int
    asleep: int
    room: int


@dataclass(frozen=True, slots=True)
class LaneTaken:
    """This worker became the only one of a lane; ``missing``: what others still had in hand."""

    tenant: str
    lane: str
    missing: int
