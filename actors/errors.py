"""Every error the asynchronous core raises, drawn as one tree.

    ActorsError
    ├── ActorStoppedError        the actor or mailbox takes no more messages
    ├── MailboxFullError         a `…_nowait` put found no room
    ├── AskTimeoutError          an actor did not answer in time
    ├── RestartBudgetError       a supervisor gave up on a child
    ├── DefinitionError          a flow cannot be compiled; carries every diagnostic
    ├── InvalidEventError        not an event: names the field and the rule it breaks
    ├── InvalidSubjectError      not one of our subjects, or a name that cannot be a token
    ├── RunLostError             another worker has the run
    ├── TenantError              concerns one tenant
    │   ├── UnknownTenantError
    │   └── QuotaExceededError   carries when to try again
    └── NodeError                a step of a run failed
        ├── TransientError       may succeed later; carries when
        │   └── UnavailableError the bus or a store does not answer
        └── PermanentError       will fail again

Each class has a stable ``code`` that logs, HTTP answers and the command line show. Ends that are
expected are Outcome values (`actors.outcomes`); these are for the unexpected.
"""

from collections.abc import Sequence
from typing import ClassVar


class ActorsError(Exception):
    """Root of the core's errors. ``code`` is stable and documented; the text is for people."""

    code: ClassVar[str] = "actors.error"


class ActorStoppedError(ActorsError):
    """The actor is stopping or stopped: the message was not taken, or will not be answered."""

    code = "actors.actor_stopped"


class MailboxFullError(ActorsError):
    """The mailbox holds as many messages as it may; wait with ``tell`` or shed the load."""

    code = "actors.mailbox_full"


class AskTimeoutError(ActorsError):
    """No answer within the time the asker allowed. The message may still be handled."""

    code = "actors.ask_timeout"


class RestartBudgetError(ActorsError):
    """A child crashed more often than its supervisor's restart budget allows."""

    code = "actors.restart_budget"


class DefinitionError(ActorsError):
    """A flow definition has errors. ``diagnostics`` holds all of them, not only the first."""

    code = "actors.definition"

    def __init__(self, message: str, diagnostics: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class InvalidEventError(ActorsError):
    """A document is not an event (SPEC 1). ``field`` names the part that breaks the rule."""

    code = "actors.invalid_event"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InvalidSubjectError(ActorsError):
    """A subject is not one of ours (SPEC 2), or a name cannot be a single subject token."""

    code = "actors.invalid_subject"


class RunLostError(ActorsError):
    """Another worker goes on with this run: whoever hears this must do nothing more for it."""

    code = "actors.run_lost"


class TenantError(ActorsError):
    """Concerns one tenant."""

    code = "actors.tenant"

    def __init__(self, tenant: str, message: str) -> None:
        super().__init__(message)
        self.tenant = tenant


class UnknownTenantError(TenantError):
    """No such tenant in this deployment."""

    code = "actors.unknown_tenant"


class QuotaExceededError(TenantError):
    """The tenant is over a quota; ``retry_after_seconds`` says when to try again.

    ``reason`` names the quota. A step that raises it has its run put off until then.
    """

    code = "actors.quota_exceeded"

    def __init__(
        self,
        tenant: str,
        message: str,
        *,
        retry_after_seconds: float,
        reason: str = "quota_exceeded",
    ) -> None:
        super().__init__(tenant, message)
        self.retry_after_seconds = retry_after_seconds
        self.reason = reason


class NodeError(ActorsError):
    """A step failed. ``reason`` is the machine-readable cause a result carries, `http.timeout`."""

    code = "actors.node"

    def __init__(self, message: str, *, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class TransientError(NodeError):
    """The same step may succeed later; ``retry_after_seconds`` is the world's own hint, if any."""

    code = "actors.transient"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "transient",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(TransientError):
    """The bus or a store does not answer. Nothing is known to be stored; ask again later."""

    code = "actors.unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, reason="unavailable", retry_after_seconds=retry_after_seconds)


class PermanentError(NodeError):
    """The same step will fail again: a retry would only repeat it."""

    code = "actors.permanent"
