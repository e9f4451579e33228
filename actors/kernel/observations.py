"""What the kernel reports: typed facts for the Observer port, never log lines.

In: nothing. Out: frozen dataclasses. ``name`` is a child's path in its tree. The error of a crash
rides along for its class and its stable code; its text may quote a payload and must not be logged,
so it stays out of the ``repr``.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ActorStarted:
    """A child runs for the first time, or again after its supervisor was restarted."""

    name: str


@dataclass(frozen=True, slots=True)
class ActorCrashed:
    """A child raised, did not start, or returned though it is permanent."""

    name: str
    error: BaseException = field(repr=False)
    error_code: str


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """A child runs again. ``restarts`` counts all of its restarts."""

    name: str
    restarts: int


@dataclass(frozen=True, slots=True)
class ActorStopped:
    """A child is gone: it finished, was removed, or is temporary and crashed."""

    name: str


@dataclass(frozen=True, slots=True)
class ActorStopFailed:
    """A child's `on_stop` raised; it counts as stopped."""

    name: str
    error: BaseException = field(repr=False)
    error_code: str


@dataclass(frozen=True, slots=True)
class ActorAbandoned:
    """A child did not stop in its time; its tasks were cancelled and left behind."""

    name: str
    stop_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ChildQuarantined:
    """A child spent its restart budget and is set aside; its siblings run on."""

    name: str
    retry_after_seconds: float
    error: BaseException = field(repr=False)
    error_code: str


@dataclass(frozen=True, slots=True)
class SupervisorFailed:
    """A supervisor's budget is spent (``child`` crashed last): its parent must decide."""

    name: str
    child: str


Observation = (
    ActorStarted
    | ActorCrashed
    | ActorRestarted
    | ActorStopped
    | ActorStopFailed
    | ActorAbandoned
    | ChildQuarantined
    | SupervisorFailed
)


def error_code(error: BaseException) -> str:
    """Give the stable code of one of our errors, else the name of the class."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else type(error).__name__
