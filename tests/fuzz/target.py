"""Runs a property under atheris. In: command line of libFuzzer. Out: an input that broke it.

Refuses to wait for ever: an input that uses more CPU time than `SECONDS_MAX` is a finding. CPU
time and not libFuzzer's `-timeout`, so a process that is stopped or starved finds nothing false.
"""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

SECONDS_MAX = 10.0
PACKAGES = ["grammar", "lark"]


class TooLongError(BaseException):
    """Not an Exception: nothing under test may catch it."""


def run(property_name: str, folder: str) -> None:
    """Fuzz `tests.fuzz.properties.<property_name>` until libFuzzer's own limits end it."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=PACKAGES):
        check = getattr(importlib.import_module("tests.fuzz.properties"), property_name)

    def once(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX)
        try:
            check(data.decode("utf-8", "replace"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, _too_long)
    words = f"-dict=tests/fuzz/seeds/{folder}.dict"
    defaults = ["-max_len=2048", "-timeout=86400", "-rss_limit_mb=1024", words]
    atheris.Setup([sys.argv[0], *defaults, *sys.argv[1:], f"tests/fuzz/seeds/{folder}"], once)
    atheris.Fuzz()


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLongError(f"more than {SECONDS_MAX} s of CPU time")
