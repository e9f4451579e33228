"""Log lines: one format for us and the libraries, and no secrets in either."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.observability.logs import LogFormat, configure_logging, redact


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("asyncio", "httpcore", "httpx", "mode", "nats", "uvicorn", "watchfiles"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(level: str = "info", log_format: LogFormat = "json") -> io.StringIO:
    out = io.StringIO()
    configure_logging(level, log_format, out)
    return out


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_our_lines_and_the_libraries_look_the_same() -> None:
    out = configured()
    structlog.get_logger("x").warning("event.accepted", tenant="demo", big=2**70)
    logging.getLogger("nats.aio").warning("slow %s", "consumer")
    ours, theirs = lines(out)
    assert (ours["event"], ours["tenant"], ours["level"]) == ("event.accepted", "demo", "warning")
    assert ours["big"] == 2**70
    assert (theirs["event"], theirs["logger"], theirs["level"]) == (
        "slow consumer",
        "nats.aio",
        "warning",
    )
    assert ours.keys() - {"tenant", "big"} == theirs.keys() - {"logger"}


def test_level_holds_for_both_and_chatty_libraries_are_quieter() -> None:
    out = configured("info")
    structlog.get_logger("x").debug("no")
    logging.getLogger("ours").debug("no")
    logging.getLogger("httpx").info("no")
    logging.getLogger("uvicorn.error").warning("no")
    logging.getLogger("ours").info("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


def test_exceptions_are_places_without_their_text() -> None:
    out = configured()
    try:
        int("hunter2")
    except ValueError as error:
        structlog.get_logger("x").error("request.failed", exc_info=error)
        structlog.get_logger("x").exception("request.failed")
        logging.getLogger("uvicorn.error").exception("broken")
    assert "hunter2" not in out.getvalue()
    assert [line["error_type"] for line in lines(out)] == ["ValueError"] * 3


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("nats_password", "hunter2", "***"),
        ("Authorization", "Bearer x", "***"),
        ("api_key", 5, "***"),
        ("access_token", "x", "***"),
        ("url", "nats://u:hunter2@host:4222", "nats://***@host:4222"),
        ("reason", "cannot reach tls://hunter2@h, tls://b", "cannot reach tls://***@h, tls://b"),
        ("url", "http://host/a@b", "http://host/a@b"),
        ("tenant", "demo", "demo"),
    ],
)
def test_secret_looking_values_are_masked(key: str, value: object, shown: object) -> None:
    assert redact(None, "info", {key: value})[key] == shown


def test_hostile_text_cannot_begin_a_line_of_its_own() -> None:
    formats: tuple[LogFormat, ...] = ("json", "pretty")
    for log_format in formats:
        out = configured(log_format=log_format)
        structlog.get_logger("x").info("flow.logged", message="a\n2026 [error] forged")
        assert len(out.getvalue().splitlines()) == 1
        structlog.reset_defaults()


def test_auto_is_json_where_nobody_watches() -> None:
    out = configured(log_format="auto")
    structlog.get_logger("x").info("program.started")
    assert lines(out)[0]["event"] == "program.started"


def test_pretty_is_for_people() -> None:
    out = configured(log_format="pretty")
    structlog.get_logger("x").info("program.started", port=8080)
    assert "program.started" in out.getvalue()
    assert "\x1b" not in out.getvalue(), "no colours where there is no terminal"
