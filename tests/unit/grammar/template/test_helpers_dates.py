"""Helpers on time: `formatDate`, `relativeTime`, `now`."""

from typing import Any

import pytest

from grammar import Budget, ValueMismatchError, compile_template

MOMENT = 1_772_362_805  # 2026-03-01T11:00:05Z, a Sunday


def render(template: str, **scope: Any) -> str:
    return compile_template(template).render({"t": MOMENT, "now": MOMENT, **scope})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("YYYY-MM-DD", "2026-03-01"),
        ("YY M D", "26 3 1"),
        ("dddd ddd, MMMM MMM", "Sunday Sun, March Mar"),
        ("HH:mm:ss.SSS", "11:00:05.000"),
        ("H h hh m s A a", "11 11 11 0 5 AM am"),
        ("Z ZZ X", "+00:00 +0000 1772362805"),
        ("[at] HH[h] []", "at 11h "),
        ("Qq _", "Qq _"),
        ("%Y-%m-%d %H:%M:%S", "2026-03-01 11:00:05"),
        ("%y %I %p %B %b %A %a %j %z %Z %%", "26 11 AM March Mar Sunday Sun 060 +0000 UTC %"),
        ("%F %T", "2026-03-01 11:00:05"),
        ("%q %", "%q %"),
        ("", ""),
    ],
)
def test_formats(pattern: str, expected: str) -> None:
    assert render("{{formatDate t p}}", p=pattern) == expected
    assert render("{{now p}}", p=pattern) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{formatDate t}}", "2026-03-01"),
        ("{{formatDate t 'HH:mm Z' 'Europe/Berlin'}}", "12:00 +01:00"),
        ("{{formatDate t format='HH:mm ZZ' timezone='America/New_York'}}", "06:00 -0500"),
        ("{{formatDate t timezone='Pacific/Auckland'}}", "2026-03-02"),
        ("{{formatDate t '%H:%M %Z' 'Asia/Tokyo'}}", "20:00 JST"),
        ("{{formatDate 1772362805123 'SSS X'}}", "123 1772362805"),
        (
            "{{formatDate 0}} {{formatDate -1}} {{formatDate 1.5 'ss.SSS'}}",
            "1970-01-01 1969-12-31 01.500",
        ),
        (
            "{{formatDate '2026-03-01'}} {{formatDate '2026-03-01T23:30:00-02:00'}}",
            "2026-03-01 2026-03-02",
        ),
        ("{{formatDate ' 2026-03-01T10:00:00Z ' 'h a'}}", "10 am"),
        (
            "{{formatDate '2026-03-01T00:00' 'hh A'}} {{formatDate '2026-03-01T13:00' 'h a'}}",
            "12 AM 1 pm",
        ),
        ("{{formatDate null}}{{formatDate ''}}{{formatDate missing 'YYYY'}}", ""),
        ("{{formatDate '0001-01-01' 'YYYY X'}}", "0001 -62135596800"),
        ("{{now}} {{now 'YYYY'}} {{now timezone='Asia/Tokyo' format='HH'}}", f"{MOMENT} 2026 20"),
        ("{{uppercase (formatDate t 'MMM')}}", "MAR"),
        ("{{#if (gt (now) 5)}}later{{/if}}", "later"),
        ("{{relativeTime null}}{{relativeTime ''}}", ""),
    ],
)
def test_moments(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (-59, "just now"),
        (59.9, "just now"),
        (-60, "1 minute ago"),
        (-3_599, "59 minutes ago"),
        (3_600, "in 1 hour"),
        (-7_200, "2 hours ago"),
        (86_400 * 3, "in 3 days"),
        (-86_400 * 30, "1 month ago"),
        (-86_400 * 364, "12 months ago"),
        (86_400 * 730, "in 2 years"),
    ],
)
def test_relative_time(seconds: float, expected: str) -> None:
    assert render("{{relativeTime v}}", v=MOMENT + seconds) == expected


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        ("{{formatDate v}}", "yesterday", "takes seconds, milliseconds or ISO 8601"),
        ("{{formatDate v}}", "2" * 41, "takes seconds"),
        ("{{formatDate v}}", "\ud800", "takes seconds"),
        ("{{formatDate v}}", True, "takes seconds"),
        ("{{formatDate v}}", [1], "takes seconds"),
        ("{{formatDate v}}", float("nan"), "takes seconds"),
        ("{{formatDate v}}", float("inf"), "takes seconds"),
        ("{{formatDate v}}", 10**400, "takes seconds"),
        ("{{formatDate v}}", 10**17, "takes seconds"),
        ("{{formatDate v}}", "9999-12-31T23:00-23:00", "outside the years"),
        ("{{formatDate v 'YYYY' 'Asia/Tokyo'}}", "9999-12-31T23:00", "outside the years"),
        ("{{formatDate t v}}", 5, "the format must be text"),
        ("{{formatDate t v}}", None, "the format must be text"),
        ("{{formatDate t v}}", "Y" * 257, "the format must be text"),
        ("{{formatDate t 'YYYY' v}}", "Mars/Base", "Unknown timezone 'Mars/Base'"),
        ("{{formatDate t 'YYYY' v}}", "../../etc/passwd", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "/etc/passwd", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "Europe", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "a\0b", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "x" * 5_000, "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", "Zürich", "Unknown timezone"),
        ("{{formatDate t 'YYYY' v}}", None, "Unknown timezone None"),
        ("{{formatDate t 'YYYY' v}}", ["UTC"], "Unknown timezone"),
        ("{{relativeTime v}}", "soon", "relativeTime: takes seconds"),
    ],
)
def test_what_is_no_moment_is_refused(template: str, value: Any, message: str) -> None:
    with pytest.raises(ValueMismatchError, match=message) as caught:
        render(template, v=value)
    assert caught.value.kind == "type_mismatch"


def test_there_is_no_clock_here() -> None:
    with pytest.raises(ValueMismatchError, match="relativeTime"):
        compile_template("{{relativeTime 5}}").render({})
    assert compile_template("{{now}}").render({}) == ""


def test_a_long_format_is_paid_by_its_length() -> None:
    short, long = Budget(), Budget()
    template = compile_template("{{formatDate 5 p}}")
    template.render({"p": "D"}, short)
    template.render({"p": "D" * 256}, long)
    assert long.operations >= short.operations + 255
