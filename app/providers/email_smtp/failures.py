"""What a mail server's refusals and silences mean for the step.

In: errors of aiosmtplib and of the system. Out: TransientError for replies 4xx and for everything
that a new connection may heal; PermanentError for replies 5xx (RFC 5321 4.2.1), certificates that
are not trusted, and servers that cannot encrypt. The texts are the server's, bounded and in one
line; an answer to a login is never among them, since it may repeat what was sent.
"""

import ssl
from typing import Final

from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPTimeoutError,
)

from actors.errors import NodeError, PermanentError, TransientError
from app.providers.email.sender import MAYBE_SENT

REPLY_CHARS_MAX: Final = 200
TIMEOUT: Final = "email.timeout"
CONNECTION: Final = "email.connection"

_TRANSIENT_REPLIES: Final = range(400, 500)


def is_transient(code: int) -> bool:
    """Tell whether a reply says: not now."""
    return code in _TRANSIENT_REPLIES


def failure_of(error: Exception, server: str) -> NodeError:
    """Sort an error of sending a mail; ``server`` is its address, for the text."""
    match error:
        case SMTPAuthenticationError():
            text = f"{server} refuses the username or password ({error.code})"
            return _by_code(error.code, text, "email.unauthorized")
        case SMTPRecipientsRefused():
            return _all_refused(error, server)
        case SMTPResponseException():
            text = f"{server} answered {error.code} {one_line(error.message)}"
            return _by_code(error.code, text, "email.refused")
        # aiosmtplib says so with its plain error where STARTTLS or AUTH is missing.
        case SMTPException() if type(error) in (SMTPNotSupported, SMTPException):
            text = f"{server} cannot do what is asked of it: {one_line(error.message)}"
            return PermanentError(text, reason="email.not_supported")
        case _:
            return _silence(error, server)


def maybe_sent(failure: NodeError) -> NodeError:
    """Say of a silence in the middle of a mail that the server may have it; refusals stay."""
    if failure.reason not in (TIMEOUT, CONNECTION):
        return failure
    return TransientError(f"{failure}; it may have the mail, or not", reason=MAYBE_SENT)


def one_line(text: str) -> str:
    """Give a server's words in one printable line, not too long."""
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line if len(line) <= REPLY_CHARS_MAX else line[: REPLY_CHARS_MAX - 1] + "…"


def _all_refused(error: SMTPRecipientsRefused, server: str) -> NodeError:
    """Nobody takes the mail: it may be tried again if anyone may take it later."""
    refusals = error.recipients
    first = next((item for item in refusals if is_transient(item.code)), refusals[0])
    text = f"{server} refuses every recipient: {first.code} {one_line(first.message)}"
    return _by_code(first.code, text, "email.recipients_refused")


def _by_code(code: int, text: str, reason: str) -> NodeError:
    if is_transient(code):
        return TransientError(text, reason=reason)
    return PermanentError(text, reason=reason)


def _silence(error: Exception, server: str) -> NodeError:
    certificate = _certificate_problem(error)
    if certificate is not None:
        text = f"{server} is not trusted: {one_line(certificate)}"
        return PermanentError(text, reason="email.certificate")
    if isinstance(error, SMTPTimeoutError | TimeoutError):
        return TransientError(f"{server} does not answer in time", reason=TIMEOUT)
    return TransientError(f"the connection to {server} failed", reason=CONNECTION)


def _certificate_problem(error: BaseException | None) -> str | None:
    """Look for a refused certificate behind the error; aiosmtplib wraps it."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
