"""JSON files as documents with positions.

In: a text. Out: a `Document`; the data is JSON's own, the places come from reading the same text
as YAML, which JSON is a part of. Refuses what JSON refuses, duplicate keys and deep nesting.
"""

import re
from dataclasses import replace
from typing import Any

import msgspec

from app.bundle.document import Document, excerpt_of
from app.bundle.problems import Problem
from app.bundle.yaml import read_yaml

_OFFSET = re.compile(r" \(byte (\d+)\)$")


def read_json(text: str, file: str) -> Document:
    """Read a text. Never raises for what is in it: the document carries the problems."""
    try:
        data: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return Document(file, text, problems=(_malformed(text, file, str(error)),))
    # A raw tab is legal only between JSON's tokens, where YAML would refuse it.
    return replace(read_yaml(text.replace("\t", " "), file), text=text, data=data)


def _malformed(text: str, file: str, message: str) -> Problem:
    match = _OFFSET.search(message)
    # Without an offset the text ends too early: its end is the place.
    encoded = text.encode()
    before = (encoded[: int(match[1])] if match else encoded).decode("utf-8", "ignore")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    reason = _OFFSET.sub("", message).removeprefix("JSON is malformed: ")
    excerpt = excerpt_of(text, line, column)
    return Problem("error", "json.syntax", f"no JSON: {reason}", file, line, column, None, excerpt)
