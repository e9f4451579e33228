"""Secrets are found in what came back, in each form that requests and services give them."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.nodes.redaction import MASK, PIECES_MAX, Redactor

HARD = 'p@ss "word/+ü& <12345>'
PLAIN = "canary-7f3a9c-plain"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASC\n-----END KEY-----\n"


def forms(value: str) -> dict[str, str]:
    raw = value.encode()
    return {
        "as it is": value,
        "json": json.dumps(value),
        "json of json": json.dumps(json.dumps({"k": value})),
        "json in utf-8": json.dumps(value, ensure_ascii=False),
        "json with slashes": json.dumps(value).replace("/", "\\/"),
        "python": repr(value),
        "html": html.escape(value),
        "url": quote(value, safe=""),
        "url, lower": re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
        "path": quote(value),
        "form": quote_plus(value),
        "url of url": quote(quote(value, safe=""), safe=""),
        "base64": base64.b64encode(raw).decode(),
        "base64 url": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "basic": base64.b64encode(b"user:" + raw).decode(),
        "basic of the next group": base64.b64encode(b"user1:" + raw + b"tail").decode(),
        "basic of the last group": base64.b64encode(b"user12:" + raw + b"t").decode(),
        "hex": raw.hex(),
        "lower": value.lower(),
        "upper": value.upper(),
        "latin-1": raw.decode("latin-1"),
    }


@pytest.mark.parametrize("value", [HARD, PLAIN], ids=["hard", "plain"])
@pytest.mark.parametrize("form", sorted(forms(HARD)))
def test_form_is_found_in_answers_and_errors(value: str, form: str) -> None:
    written = forms(value)[form]
    redactor = Redactor([value])
    for cleaned in (redactor.redact(f"<{written}>"), redactor.mask({"k": [f"<{written}>"]})):
        assert MASK in str(cleaned)
        left = str(cleaned).replace(MASK, "")
        pieces = [written[start : start + 8] for start in range(1, len(written) - 9)]
        wrapped = {"json of json", "basic of the next group", "basic of the last group", "basic"}
        if form not in wrapped:
            assert not any(piece in left for piece in pieces)
        else:
            assert all(hidden not in left for hidden in (value, written))


@given(st.binary(max_size=7), st.binary(max_size=7))
def test_base64_is_found_wherever_the_value_stands_in_it(before: bytes, behind: bytes) -> None:
    encoded = base64.b64encode(before + PLAIN.encode() + behind).decode()
    cleaned = Redactor([PLAIN]).redact(encoded)
    for place in range(len(cleaned)):
        for end in range(place + 4, len(cleaned) + 1, 4):
            part = cleaned[place:end]
            if MASK in part or "[" in part or "]" in part:
                break
            assert b"canary" not in base64.b64decode(part + "==", validate=False)
    assert MASK in cleaned


def test_lines_and_texts_of_a_value_are_secret_by_themselves() -> None:
    account = {"user": "robot-7f3a", "deep": [{"password": "hunter2-hunter2"}], "n": 5}
    redactor = Redactor([PEM, json.dumps(account)])
    answer = {"key": "MIIEvQIBADANBgkqh", "account": account}
    assert redactor.mask(answer) == {
        "key": MASK,
        "account": {"user": MASK, "deep": [{"password": MASK}], "n": 5},
    }
    assert "kiG9w0" not in redactor.redact("bad line: kiG9w0BAQEFAASC")


def test_pieces_are_bounded() -> None:
    lines = [f"line-{number:05d}" for number in range(1000)]
    redactor = Redactor(["\n".join(lines)])
    assert sum(redactor.mask(line) == MASK for line in lines) == PIECES_MAX


@pytest.mark.parametrize(
    ("value", "answer", "seen"),
    [
        ("4711", "4711", MASK),
        ("4711", "pin=4711&x", f"pin={MASK}&x"),
        ("4711", "147112", "147112"),
        ("4711", "a4711", "a4711"),
        ("4711", 4711, MASK),
        ("4711", 47110, 47110),
        ("4711", True, True),
        ("12", "12", "12"),
        ("12345678901", 12345678901, MASK),
        ("12345678901", {"12345678901": [1.5, None]}, {MASK: [1.5, None]}),
    ],
    ids=range(10),
)
def test_short_values_must_stand_alone_in_answers(value: str, answer: object, seen: object) -> None:
    assert Redactor([value]).mask(answer) == seen


def test_short_values_are_taken_out_of_errors_anywhere() -> None:
    assert Redactor(["12"]).redact("a12b") == f"a{MASK}b"


@pytest.mark.parametrize("values", [[], [""], ["", ""]])
def test_nothing_to_find_changes_nothing(values: list[str]) -> None:
    assert Redactor(values).mask({"a": "b"}) == {"a": "b"}
    assert Redactor(values).redact("text") == "text"


def test_value_is_not_shown() -> None:
    assert PLAIN not in repr(Redactor([PLAIN]))


def test_longest_value_is_still_found() -> None:
    value = "é+" * 32_768
    redactor = Redactor([value])
    for form in (value, json.dumps(value), quote(value, safe="")):
        assert len(redactor.redact(form)) < 20
