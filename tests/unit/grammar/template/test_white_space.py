"""White space control: `~`, tags that stand alone on a line, the indent of partials."""

import pytest

from grammar import compile_template

SCOPE = {"t": True, "no": False, "list": ["a", "b"], "o": {"k": 1}, "f": 1.5}


def render(template: str, **partials: str) -> str:
    return compile_template(template, partials=partials).render(SCOPE)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a  {{~f~}}  b", "a1.5b"),
        ("a \n {{~f}} b", "a1.5 b"),
        ("a {{f~}} \r\n\t b", "a 1.5b"),
        ("a {{~{f}~}} b", "a1.5b"),
        ("a {{~&f~}} b", "a1.5b"),
        ("a{{~f~}}b", "a1.5b"),
        ("{{~f~}}", "1.5"),
        ("a {{#if t~}}{{f}}{{~/if}} b", "a 1.5 b"),
        ("{{~f~}}{{~f~}}", "1.51.5"),
        ("x {{#if t~}} y {{~/if}} z", "x y z"),
        ("x {{~#if t}} y {{/if~}} z", "x y z"),
        ("x {{#if no}}a{{~else~}} y {{/if}} z", "x y  z"),
        ("x {{#if t}} a {{~else~}} y {{/if}} z", "x  a z"),
        ("{{#if no}}a {{~else if t~}} b {{~else~}} c {{/if}}", "b"),
        ("{{#if no}} A {{else if t~}} B {{~/if}} x", "B x"),
        ("{{#each list~}} {{this}} {{~/each}}", "ab"),
        ("{{#if t}}{{~else~}}\n{{/if}} \n x", " x"),
        ("a\u00a0\u3000{{~f~}}\ufeff b", "a1.5b"),
        ("a\x1c{{~f}}", "a\x1c1.5"),
    ],
)
def test_tildes_take_white_space_on_their_side(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{#if t}}\nA\n{{/if}}\nB", "A\nB"),
        ("  {{#if t}}  \n  A\n  {{/if}}  \nB", "  A\nB"),
        ("{{#if t}}\r\nA\r\n{{/if}}\r\nB", "A\r\nB"),
        ("x\n{{#if no}}\nA\n{{else}}\nC\n{{/if}}\nB", "x\nC\nB"),
        ("{{#if no}}\nA\n{{else if t}}\nC\n{{else}}\nD\n{{/if}}\nx", "C\nx"),
        ("{{#if no}}\nA\n{{else if no}}\nC\n{{else}}\nD\n{{/if}}\nx", "D\nx"),
        ("{{^if no}}\nA\n{{/if}}\nx", "A\nx"),
        ("{{#each list}}\n - {{this}}\n{{/each}}\nend", " - a\n - b\nend"),
        ("a {{#if t}}\nA\n{{/if}}\nB", "a \nA\nB"),
        ("a\n {{#if t}}x{{/if}}\nb", "a\n x\nb"),
        ("{{#if t}}\n\nA{{/if}}", "\nA"),
        ("{{#if t}}\n{{#if t}}\nA\n{{/if}}\n{{/if}}\n", "A\n"),
        ("{{#if t}} {{#if t}}\n x {{/if}} \n{{/if}}\n", " \n x  \n"),
        ("\n{{#if t}}\nA\n{{/if}}", "\nA\n"),
        ("{{#if t}}{{/if}}\nB", "\nB"),
        ("{{#if t}}\n{{/if}}\nB", "B"),
        ("{{#each list}}{{else}}{{/each}}\nB", "\nB"),
        ("  {{! note }}  \nx\n {{!-- d --}}\ny", "x\ny"),
        ("x {{! note }}\ny", "x \ny"),
        ("{{! one }}{{! two }}\ny", "\ny"),
        ("  {{! note }}", ""),
        ("{{! note }}  ", ""),
        ("{{#if t}}  {{! note }}  {{/if}}", "    "),
        ("a\n  {{f}}\nb", "a\n  1.5\nb"),
        ("{{#unless no}}\n\n a\n\n{{~/unless}}\n z", "\n a z"),
    ],
)
def test_tags_alone_on_a_line_take_the_line(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "partial", "expected"),
    [
        ("  {{> p}}\nX", "a\nb\n", "  a\n  b\nX"),
        ("\t{{> p}}\nX", "a\n\nb", "\ta\n\t\n\tbX"),
        ("x {{> p}}\nX", "a\nb\n", "x a\nb\n\nX"),
        ("{{> p}}\nX", "a\nb\n", "a\nb\nX"),
        ("{{#each list}}\n  {{> p}}\n{{/each}}", "- {{this}}\n", "  - a\n  - b\n"),
        (" {{> p}}\r\nX", "a\n", " a\nX"),
        ("  {{> p}}", "", ""),
        ("  {{~> p~}}  \nX", "a\n", "a\nX"),
        ("  {{> p}}\n", "{{> q}}\n", "  y\n  z"),
    ],
)
def test_a_partial_alone_on_a_line_keeps_its_indent(
    template: str, partial: str, expected: str
) -> None:
    assert render(template, p=partial, q="y\nz") == expected
