"""What the core needs of the world: one Protocol per need, with units and errors in a line each.

In: the core's own values. Out: the world's answers. Adapters live in ``app``; in-memory twins in
``actors.testing``; the contract tests run on both. Any port may raise UnavailableError.
"""

from actors.ports.deliveries import (
    Continuation,
    Continuations,
    Deliveries,
    Delivery,
    Journal,
    JournalEntry,
)
from actors.ports.endings import (
    Answers,
    DeadLetter,
    DeadLetters,
    PublishedResult,
    Results,
    RunRecord,
    RunRecords,
)
from actors.ports.ingress import (
    Envelope,
    EventPublisher,
    InboundRequest,
    NormalizedEvent,
    Normalizer,
    PublishAck,
)
from actors.ports.world import (
    SECRET_BYTES_MAX,
    STATE_KEY_BYTES_MAX,
    STATE_TTL_SECONDS_MAX,
    STATE_VALUE_BYTES_MAX,
    Clock,
    HttpCaller,
    HttpRequest,
    HttpResponse,
    Ids,
    NoSecrets,
    Observer,
    ProviderActions,
    Secrets,
    StateEntry,
    StateScope,
    StateStore,
    Ticks,
)

__all__ = [
    "SECRET_BYTES_MAX",
    "STATE_KEY_BYTES_MAX",
    "STATE_TTL_SECONDS_MAX",
    "STATE_VALUE_BYTES_MAX",
    "Answers",
    "Clock",
    "Continuation",
    "Continuations",
    "DeadLetter",
    "DeadLetters",
    "Deliveries",
    "Delivery",
    "Envelope",
    "EventPublisher",
    "HttpCaller",
    "HttpRequest",
    "HttpResponse",
    "Ids",
    "InboundRequest",
    "Journal",
    "JournalEntry",
    "NoSecrets",
    "NormalizedEvent",
    "Normalizer",
    "Observer",
    "ProviderActions",
    "PublishAck",
    "PublishedResult",
    "Results",
    "RunRecord",
    "RunRecords",
    "Secrets",
    "StateEntry",
    "StateScope",
    "StateStore",
    "Ticks",
]
