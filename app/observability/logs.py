"""Log lines: ``pretty`` for people, ``json`` for machines, both on one stream.

In: a level, a format, a stream. Out: structlog and the standard library's logging set up to write
the same lines. Refuses secrets: values under keys that sound like one are masked, and credentials
in URLs are cut out. Lines go to standard error; standard output belongs to ``--json``.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog

from app.observability.crashes import describe_error

MASK: Final = "***"
LogFormat = Literal["auto", "pretty", "json"]

_SECRET_PARTS: Final = (
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "password",
    "secret",
    "token",
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_QUIET: Final[Mapping[str, int]] = {
    "alembic": logging.WARNING,
    "app.history": logging.WARNING,  # Faust's parts there tell of each start and stop
    "asyncio": logging.WARNING,
    "faust": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "mail.log": logging.WARNING,  # the SMTP sink of --dev names senders and recipients
    "mode": logging.WARNING,
    "nats": logging.WARNING,
    "uvicorn": logging.ERROR,
    "watchfiles": logging.WARNING,
}
"""Libraries that say more than anybody wants to read; never less than what we say ourselves."""

_Line = MutableMapping[str, Any]


def configure_logging(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Set up all logging of the process. ``level`` is debug, info, warning or error."""
    out = sys.stderr if stream is None else stream
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        frame_errors,
        redact,
    ]
    renderer = _renderer(log_format, out)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    _route_stdlib(threshold, shared, renderer, out)


def frame_errors(_: Any, __: str, line: _Line) -> _Line:
    """Replace ``exc_info`` by the exception's class and places; its text may quote a payload."""
    given = line.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line.update(describe_error(error))
    return line


def redact(_: Any, __: str, line: _Line) -> _Line:
    """Mask what looks like a secret by its key, and credentials within URLs."""
    for key, value in line.items():
        if any(part in key.lower() for part in _SECRET_PARTS):
            line[key] = MASK
        elif isinstance(value, str) and "://" in value:
            line[key] = _URL_CREDENTIALS.sub(MASK + "@", value)
    return line


def _renderer(log_format: LogFormat, out: TextIO) -> structlog.typing.Processor:
    is_terminal = out.isatty()
    if log_format == "json" or (log_format == "auto" and not is_terminal):
        return structlog.processors.JSONRenderer(serializer=_to_json)
    return structlog.dev.ConsoleRenderer(colors=is_terminal)


def _to_json(line: Any, **_: Any) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()


def _route_stdlib(
    threshold: int,
    shared: list[structlog.typing.Processor],
    renderer: structlog.typing.Processor,
    out: TextIO,
) -> None:
    """Let the libraries' own log records become the same lines."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, threshold))
