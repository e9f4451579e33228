"""What is printed can be anybody's text: it moves no cursor, and as JSON it is still itself."""

import json
import re

import pytest

from app.cli.output import print_json, printable, shortened

CONTROLS = "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x200E, 0x2028, 0x202E, 0x2066]))


@pytest.mark.parametrize("indent", [None, 2])
def test_json_carries_no_control_character_and_says_the_same(
    indent: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {f"a{CONTROLS}": ["ä€😀", CONTROLS]}
    print_json(document, indent=indent)
    out = capsys.readouterr().out
    assert json.loads(out) == document
    assert not re.search(f"[{re.escape(CONTROLS.replace(chr(10), ''))}]", out)
    assert "ä€😀" in out


def test_printable_text_is_left_alone_and_the_rest_replaced() -> None:
    assert printable("Grüße 😀 [red]") == "Grüße 😀 [red]"
    assert printable(f"a{CONTROLS}b") == "a" + "\N{REPLACEMENT CHARACTER}" * len(CONTROLS) + "b"


def test_long_text_is_cut_and_says_so() -> None:
    assert [shortened("abc", most) for most in (2, 3)] == ["ab…", "abc"]
