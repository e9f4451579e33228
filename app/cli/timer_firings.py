"""Cron expressions and times as people type them.

In: an expression, a zone, a time. Out: a schedule, an instant. Refuses what cannot be read, as
CommandError with a hint.
"""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from actors.diagnostics import did_you_mean
from actors.flows.cron import CronSchedule, parse_cron
from app.errors import CommandError
from app.system import SystemClock


def parse_schedule(expression: str, timezone: str) -> CronSchedule:
    """Read an expression in a zone; CommandError says what is wrong with which of them."""
    try:
        return parse_cron(expression, timezone)
    except ValueError as error:
        hint = "minute hour day month weekday, like '0 9 * * 1'; or six fields, seconds first"
        if "time zone" in str(error):
            hint = did_you_mean(timezone, available_timezones()) or "like Europe/Paris"
        raise CommandError(str(error), hint=hint) from None


def instant_of(text: str | None, zone: ZoneInfo) -> int:
    """Read a time as milliseconds; without an offset it is one of the zone, without a text now."""
    if text is None:
        return SystemClock().now_ms()
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        hint = "like 2026-03-29T01:00, or 2026-03-29T01:00+02:00"
        raise CommandError(f"{text!r} is no time", hint=hint) from None
