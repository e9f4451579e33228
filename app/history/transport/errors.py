"""What the transport refuses.

TransportError
├── InvalidNameError       a topic, key, group or header that cannot become a name on NATS
├── StreamRefusedError     the server refuses a stream, a consumer or a message for good
└── BrokerUnreachableError nobody answers: for the caller to try again

Faust's own `ProducerSendError` and `ImproperlyConfigured` are used where Faust catches them.
"""


class TransportError(Exception):
    """Whatever goes wrong between Faust and NATS."""


class InvalidNameError(TransportError, ValueError):
    """A name that NATS has no room for."""


class StreamRefusedError(TransportError):
    """JetStream said no, and will say no again. ``code`` is its ``err_code``, 0 if it gave none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class BrokerUnreachableError(TransportError, ConnectionError):
    """No server, or none that has JetStream, answered in time."""


class LeaseLostError(TransportError):
    """A table was written to after this worker stopped being its owner: nothing was stored."""
