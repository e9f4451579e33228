"""What was expected of a run, held against what it did.

In: an `Expected` and what was seen. Out: a `Difference` for each place where they part. A plain key
(`output`) is compared whole; `…_includes` takes maps that have more keys than it names, at any
depth, but lists of the same length. 1 and 1.0 are the same number; true is no number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.bundle.flow_test_models import (
    Expected,
    ExpectedAction,
    ExpectedAnswer,
    ExpectedCall,
    ExpectedError,
    ExpectedEvent,
    ExpectedLog,
    ExpectedStart,
    Part,
)
from app.cli.flow_test_run import Seen, url_fits

_INCLUDES: Final = "_includes"
_LISTS: Final = ("events", "starts", "http", "actions", "logs")

_Item = ExpectedEvent | ExpectedStart | ExpectedCall | ExpectedAction | ExpectedLog


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a run is not what was expected; ``note`` says it in words instead."""

    where: str
    expected: Any = None
    got: Any = None
    note: str | None = None


def compare(expected: Expected, seen: Seen) -> list[Difference]:
    """Give every difference, in the order of the keys of `expect`."""
    facts = seen.facts
    found = [*_status(expected, facts)]
    for key in ("trigger", "path"):
        if (wanted := getattr(expected, key)) is not None:
            found += differences(wanted, facts[key], key)
    found += _value(expected, "output", facts["output"], "output")
    if expected.says("answer"):
        found += _one(expected.answer, facts["answer"], "answer")
    if expected.error is not None:
        found += _one(expected.error, facts["error"], "error")
    for key in _LISTS:
        if (items := getattr(expected, key)) is not None:
            found += _all(items, facts[key], key)
    for key, wanted in (expected.state or {}).items():
        found += differences(wanted, seen.state[key], f"state.{key}")
    return [*found, *(Difference("calls", note=text) for text in seen.complaints)]


def _status(expected: Expected, facts: Mapping[str, Any]) -> Iterator[Difference]:
    wanted = expected.status or ("completed" if expected.error is None else "failed")
    if facts["status"] != wanted:
        error = facts["error"]
        note = None
        if error is not None:
            note = f"{error['code']} at {error['node']}: {error['message']}"
        yield Difference("status", wanted, facts["status"], note)


def _all(items: list[_Item], seen: list[Any], where: str) -> Iterator[Difference]:
    if len(items) != len(seen):
        yield Difference(where, [_shown(item) for item in items], seen, f"{len(seen)} of them")
        return
    for index, (item, got) in enumerate(zip(items, seen, strict=True)):
        yield from _one(item, got, f"{where}.{index}")


def _shown(item: Part) -> Any:
    return item.model_dump(include=item.model_fields_set)


def _one(
    expected: _Item | ExpectedAnswer | ExpectedError | None, got: Any, where: str
) -> Iterator[Difference]:
    """Compare a part key by key: only the keys that it says."""
    if expected is None or got is None:
        if (expected is None) != (got is None):
            yield Difference(where, None if expected is None else _shown(expected), got)
        return
    for key in type(expected).model_fields:
        if expected.says(key):
            yield from _key(expected, key, got, where)


def _key(expected: Part, key: str, got: Mapping[str, Any], where: str) -> Iterator[Difference]:
    wanted, name = getattr(expected, key), key.removesuffix(_INCLUDES)
    place = f"{where}.{name}"
    if key == "message_includes":
        if wanted not in got[name]:
            yield Difference(place, f"… {wanted} …", got[name])
    elif key == "url" and url_fits(wanted, got[name]):
        return
    elif key == "headers":
        lowered = {header.lower(): value for header, value in (wanted or {}).items()}
        yield from differences(lowered, got[name], place, includes=True)
    else:
        yield from differences(wanted, got[name], place, includes=key != name)


def _value(expected: Part, name: str, got: Any, where: str) -> Iterator[Difference]:
    for key in (name, name + _INCLUDES):
        if expected.says(key):
            yield from differences(getattr(expected, key), got, where, includes=key != name)


def differences(
    expected: Any, got: Any, where: str, *, includes: bool = False
) -> Iterator[Difference]:
    """Find the innermost places where two JSON values differ. Depth is bounded: both were read."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected.keys() | (set() if includes else got.keys()):
            place = f"{where}.{key}"
            if key not in got:
                yield Difference(place, expected[key], note="it is missing")
            elif key not in expected:
                yield Difference(place, got=got[key], note="nobody expected it")
            else:
                yield from differences(expected[key], got[key], place, includes=includes)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (item, other) in enumerate(zip(expected, got, strict=True)):
            yield from differences(item, other, f"{where}.{index}", includes=includes)
    elif isinstance(expected, bool) is not isinstance(got, bool) or expected != got:
        yield Difference(where, expected, got)
