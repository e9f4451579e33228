"""The Observer of the process: every observation becomes a metric and, where it is said, a line.

In: observations of the core and of the rooms above. Out: counts and log lines, from one table
(`app.observability.rules`), so that the two never disagree. Refuses nothing; takes no payloads.
"""

import logging
from dataclasses import is_dataclass
from typing import Any, Final, Protocol

import structlog

from app.observability.crashes import describe_error
from app.observability.metrics import Metrics
from app.observability.rules import RULES, Rule, rule_by_name

_LEVELS: Final = logging.getLevelNamesMapping()


class LineWriter(Protocol):
    """What is needed of a structlog logger."""

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether lines of this level are written."""
        ...

    def log(self, level: int, event: str | None = None, **fields: Any) -> Any:
        """Write one line."""
        ...


class ReportingObserver:
    """`actors.ports.Observer` for a real process. Quick, and never raises for a dataclass."""

    __slots__ = ("_log", "_metrics", "_rules")

    def __init__(self, metrics: Metrics, log: LineWriter | None = None) -> None:
        self._metrics = metrics
        self._log = log
        self._rules: dict[type, Rule] = dict(RULES)

    @property
    def _writer(self) -> LineWriter:
        """Bind at the first use: logging is set up after the program's parts are made."""
        if self._log is None:
            self._log = structlog.get_logger("app.observer").bind()
        return self._log

    def observe(self, observation: object) -> None:
        """Take one observation; anything that is no dataclass is ignored."""
        kind = type(observation)
        rule = self._rules.get(kind)
        if rule is None:
            if not is_dataclass(kind):
                return
            rule = self._rules[kind] = rule_by_name(kind)
        rule.record(self._metrics, observation)
        self._say(rule, observation)

    def _say(self, rule: Rule, observation: object) -> None:
        level = _LEVELS[rule.level_of(observation).upper()]
        if not self._writer.is_enabled_for(level):
            return
        line = rule.fields_of(observation)
        error = line.pop("error", None)
        if isinstance(error, BaseException):
            line |= describe_error(error)
        self._writer.log(level, rule.event, **line)
