"""Generic actors on mode's services: mailboxes, refs, and a supervisor that keeps its promises.

It knows no tenant, no event and no NATS. ``Supervisor(SupervisorSpec(...), KernelPorts(...))`` is
the way in; ``spawn`` gives an `ActorRef`, which outlives every restart of the actor behind it.
"""

from actors.kernel.actor import Actor
from actors.kernel.budget import Backoff, RestartBudget
from actors.kernel.mailbox import Mailbox
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef, Reply
from actors.kernel.specs import ChildSpec, Escalate, Quarantine, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.kernel.unit import ChildSnapshot, DrainReport

__all__ = [
    "Actor",
    "ActorRef",
    "Backoff",
    "ChildSnapshot",
    "ChildSpec",
    "DrainReport",
    "Escalate",
    "KernelPorts",
    "Mailbox",
    "Quarantine",
    "Reply",
    "RestartBudget",
    "Supervisor",
    "SupervisorSpec",
]
