"""Every error the outer package raises, drawn as one tree.

    AppError
    ├── SettingsError             configuration is wrong; carries every problem
    ├── IngressError              a request is refused; one class per status
    │   ├── BadRequestError         400
    │   ├── SignatureError          401
    │   ├── ApiKeyError             401
    │   ├── WrongTenantError        403
    │   ├── ForbiddenError          403  the key may not do this
    │   ├── OriginRefusedError      403  a handshake of an origin that is not allowed
    │   ├── RouteNotFoundError      404  no such route
    │   │   ├── TenantNotFoundError      no such tenant
    │   │   └── ProviderDisabledError    the provider is off
    │   ├── MethodRefusedError      405
    │   ├── RequestTimedOutError    408
    │   ├── PreconditionFailedError 412  it is not as If-Match says
    │   ├── BodyTooLargeError       413
    │   ├── MediaTypeError          415
    │   ├── NotSupportedYetError    422  a form of request this version lacks
    │   ├── LockedOutError          429  too many wrong API keys came from there
    │   └── OverloadedError         503  the process has as many requests as it takes
    ├── BundleError               a bundle cannot be used; carries every problem
    ├── CommandError              a command cannot do what was asked of it here
    ├── BusError                  NATS refused what we asked of it
    └── StoreError                a store refused what we asked of it
        ├── NotFoundError
        ├── ConflictError
        ├── ValueRefusedError       a value makes no sense there; the text says which
        └── SealError             a sealed value cannot be opened with this key

Each class has a stable ``code`` that logs, HTTP answers and the command line show. Which status an
error means over HTTP stands in one table, `app.http.problems`.
"""

from collections.abc import Sequence
from typing import ClassVar


class AppError(Exception):
    """Root of the outer package's errors. ``code`` is stable; the text is for people."""

    code: ClassVar[str] = "app.error"


class SettingsError(AppError):
    """Configuration is wrong. ``problems`` holds all of them, one sentence each."""

    code = "app.settings"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class IngressError(AppError):
    """A request is refused; ``title`` is what its class means, the text what is wrong here."""

    code = "http.refused"
    title: ClassVar[str] = "The request is refused"


class BadRequestError(IngressError):
    """The request itself is malformed."""

    code = "http.bad_request"
    title = "The request is malformed"


class SignatureError(IngressError):
    """The signature is missing, malformed or wrong. The text never says which bytes differ."""

    code = "http.signature"
    title = "The signature is missing or wrong"


class ApiKeyError(IngressError):
    """There is no such API key, it has expired or was revoked: which one is not said."""

    code = "http.api_key"
    title = "The API key is missing or wrong"


class WrongTenantError(IngressError):
    """The caller is known, but not for this tenant."""

    code = "http.wrong_tenant"
    title = "The credentials belong to another tenant"


class ForbiddenError(IngressError):
    """The caller is known, but its API key lacks the scope; the text names it."""

    code = "http.forbidden"
    title = "The API key may not do this"


class LockedOutError(IngressError):
    """Too many wrong API keys came from there; ``retry_after_seconds`` says how long it waits."""

    code = "http.locked_out"
    title = "Too many wrong API keys"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class OriginRefusedError(IngressError):
    """The sender's origin is not among those that may deliver events (CloudEvents webhooks, 4)."""

    code = "http.origin"
    title = "The origin may not deliver events here"


class RouteNotFoundError(IngressError):
    """Nothing is served at this path."""

    code = "http.not_found"
    title = "Nothing is served at this path"


class TenantNotFoundError(RouteNotFoundError):
    """The path names a tenant that this deployment does not have."""

    code = "http.unknown_tenant"
    title = "There is no such tenant"


class ProviderDisabledError(RouteNotFoundError):
    """The provider behind this route is not enabled for the tenant."""

    code = "http.provider_disabled"
    title = "The provider is not enabled"


class MethodRefusedError(IngressError):
    """The path exists, but not for this method; ``allowed`` names those it takes."""

    code = "http.method_not_allowed"
    title = "The path does not take this method"

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class RequestTimedOutError(IngressError):
    """The client took too long to send its request."""

    code = "http.request_timeout"
    title = "The request took too long to arrive"


class PreconditionFailedError(IngressError):
    """What the request is about is not in the state that its condition names."""

    code = "http.precondition_failed"
    title = "It is not as the condition says"


class BodyTooLargeError(IngressError):
    """The body is larger than this route takes."""

    code = "http.body_too_large"
    title = "The body is too large"


class MediaTypeError(IngressError):
    """The body's media type, charset or coding is not one this route reads."""

    code = "http.media_type"
    title = "The media type is not supported"


class NotSupportedYetError(IngressError):
    """A form of request that the contract has and this version lacks; the text names it."""

    code = "http.not_supported_yet"
    title = "This version does not support the request"


class OverloadedError(IngressError):
    """The process handles as many requests as it takes; ``retry_after_seconds`` says when."""

    code = "http.overloaded"
    title = "The server is busy"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class BundleError(AppError):
    """A bundle cannot be used at all. ``problems`` holds all that was found, not only the first."""

    code = "bundle.invalid"

    def __init__(self, message: str, problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class CommandError(AppError):
    """A command of the command line cannot do what was asked of it here; ``hint`` says what can."""

    code = "cli.refused"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class BusError(AppError):
    """NATS refused what we asked of it; a bus that does not answer is UnavailableError.

    ``server_code`` is the server's own ``err_code`` where it gave one, 10059 for "no such stream".
    """

    code = "bus.error"

    def __init__(self, message: str, *, server_code: int | None = None) -> None:
        super().__init__(message)
        self.server_code = server_code


class StoreError(AppError):
    """A store refused what we asked of it."""

    code = "store.error"


class NotFoundError(StoreError):
    """The store has no such thing."""

    code = "store.not_found"


class ConflictError(StoreError):
    """Somebody else changed it first."""

    code = "store.conflict"


class ValueRefusedError(StoreError):
    """What was given makes no sense there: an unknown plan, a name that is too long."""

    code = "store.value"


class SealError(StoreError):
    """A sealed value cannot be opened: another key made it, or it was changed or moved."""

    code = "store.seal"
