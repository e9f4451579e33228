"""Tags that render a value: paths, literals, escapes, comments."""

from types import MappingProxyType
from typing import Any

import pytest

from grammar import compile_template
from grammar.values import Char
from tests.support.scopes import Drawer

SCOPE: dict[str, Any] = {
    "name": "Ann",
    "markup": "<b>&\"'`=",
    "zero": 0,
    "minus": -7,
    "half": 1.5,
    "whole": 150.0,
    "yes": True,
    "no": False,
    "null": None,
    "text": "",
    "list": ["p", "q"],
    "nested": [[1, [2, None]], 3, {"a": 1}],
    "order": {"id": "o1", "customer": {"name": "Bo", "e mail": "b@x"}, "0": "zero key"},
    "s p": "spaced",
    "12": "twelve",
    "true": "the key true",
    "length": "a key named length",
}


def render(template: str, scope: dict[str, Any] | None = None, **partials: str) -> str:
    return compile_template(template, partials=partials).render(SCOPE if scope is None else scope)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{ } }} {x} $", "{ } }} {x} $"),
        ("Hi {{name}}!", "Hi Ann!"),
        ("{{ name }}|{{\nname\n}}", "Ann|Ann"),
        ("{{{name}}}{{&name}}{{& name}}{{{ name }}}", "AnnAnnAnnAnn"),
        ("{{order.id}} {{order/id}} {{order.customer.name}}", "o1 o1 Bo"),
        ("{{this.name}} {{./name}} {{this/name}}", "Ann Ann Ann"),
        ("{{order.[id]}} {{[order].id}} {{order.customer.[e mail]}}", "o1 o1 b@x"),
        ("{{[s p]}}{{\"s p\"}}{{'s p'}}", "spacedspacedspaced"),
        ("{{12}} {{true}}", "twelve the key true"),
        ("{{list.[0]}}{{list.[1]}}{{list.0}}", "pqp"),
        ("{{list.[2]}}{{list.[01]}}{{list.[-1]}}{{list.x}}", ""),
        ("{{list.length}} {{name.length}} {{length}}", "2 3 a key named length"),
        ("{{name.[1]}}{{name.[9]}}", "n"),
        ("{{order.[0]}}{{order.0}}", "zero keyzero key"),
        ("{{missing}}{{missing.deep.er}}{{name.x.y}}{{zero.x}}{{null.x}}", ""),
        ("{{order.missing}}{{order.constructor}}{{__class__}}{{name.__class__}}{{name.upper}}", ""),
        ("{{../name}}{{../../name}}{{@index}}{{@key}}{{@first.x}}", ""),
        ("{{@root.name}} {{@root.order.id}}", "Ann o1"),
        ("{{list.[99999999999]}}", ""),
        ("{{list.²}}", ""),
    ],
)
def test_a_tag_reads_a_path(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{zero}} {{minus}} {{half}} {{whole}}", "0 -7 1.5 150"),
        ("{{yes}} {{no}} [{{null}}] [{{text}}]", "true false [] []"),
        ("{{list}} {{nested}}", 'p,q 1,2,,3,{"a":1}'),
        ("{{order.customer}}", '{"name":"Bo","e mail":"b@x"}'),
    ],
)
def test_values_render_as_javascript_writes_them_and_maps_as_json(
    template: str, expected: str
) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1.5e300, "1.5e+300"),
        (-1e21, "-1e+21"),
        (1e-7, "1e-7"),
        (-1.5e-7, "-1.5e-7"),
        (1e-6, "0.000001"),
        (-1.25e-5, "-0.0000125"),
        (0.0001, "0.0001"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (123456789012345680.0, "123456789012345680"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**63, "9223372036854775808"),
        (10**30, "1" + "0" * 30),
        (Char("c"), "c"),
        (("a", 1), "a,1"),
        ({}, "{}"),
        ([], ""),
        ("\ud800\0", "\ud800\0"),
    ],
)
def test_a_value_has_one_text(value: Any, expected: str) -> None:
    assert render("{{v}}", {"v": value}) == expected
    assert compile_template("{{v}}", escape="html").render({"v": value}) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{markup}}", "&lt;b&gt;&amp;&quot;&#x27;&#x60;&#x3D;"),
        ("{{{markup}}}{{&markup}}", "<b>&\"'`=<b>&\"'`="),
        ("<i>{{name}}</i>", "<i>Ann</i>"),
        (
            "{{order.customer}}",
            "{&quot;name&quot;:&quot;Bo&quot;,&quot;e mail&quot;:&quot;b@x&quot;}",
        ),
        ("{{zero}}{{yes}}{{list}}", "0truep,q"),
    ],
)
def test_html_templates_escape_all_but_raw_tags(template: str, expected: str) -> None:
    assert compile_template(template, escape="html").render(SCOPE) == expected


def test_a_long_text_is_escaped_too() -> None:
    template = compile_template("{{v}}", escape="html")
    assert template.render({"v": "<" * 1_000}) == "&lt;" * 1_000


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a{{! note }}b", "ab"),
        ("a{{!-- }} -- --}}b", "ab"),
        ("a{{!}}b{{!----}}c", "abc"),
        ("a{{! {{name}}", "a"),
        ("a {{~! x ~}} b", "ab"),
        ("a {{~!-- x --~}} b", "ab"),
        (r"\{{name}}", "{{name}}"),
        (r"\{{name}} {{name}}", "{{name}} Ann"),
        (r"\\{{name}}", "\\Ann"),
        (r"\\\{{name}}", "\\\\Ann"),
        (r"\{{name}}\{{name}}", "{{name}}{{name}}"),
        (r"\{{{name}}}", "{{{name}}}"),
        (r"a\b \\ c\\", "a\\b \\\\ c\\\\"),
        ("\\" * 9_000 + "{{name}}", "\\" * 8_999 + "Ann"),
    ],
)
def test_comments_vanish_and_backslashes_escape_tags(template: str, expected: str) -> None:
    assert render(template) == expected


def test_a_host_map_is_read_by_key_and_never_shown_whole() -> None:
    scope = {"state": Drawer()}
    assert render("{{state.k}}{{state.none}}{{lookup state 'k'}}{{lookup state 5}}", scope) == "vv"


def test_a_scope_need_not_be_a_dict() -> None:
    assert compile_template("{{a}}{{b.c}}").render(MappingProxyType({"a": 1})) == "1"


def test_hosts_exceptions_pass_through() -> None:
    class Broken(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            raise ConnectionError(key)

    with pytest.raises(ConnectionError, match="name"):
        compile_template("{{name}}").render(Broken())


def test_names_paths_and_constancy_are_known_before_rendering() -> None:
    template = compile_template(
        "{{a.b}} {{#with c}}{{d}}{{../e}}{{@root.f.g}}{{/with}} {{now}}", name="mail"
    )
    assert template.names == {"a", "c", "e", "f", "now"}
    assert template.paths == {"a.b", "c", "e", "f.g", "now"}
    assert not template.is_constant
    assert not template.reads_whole_scope
    assert repr(template) == "Template('mail')"
    assert compile_template("text {{! only }}").is_constant
