"""The same templates, rendered here and by the npm package `handlebars`.

Cases are a table, every way to set white space around a block, and templates drawn from a fixed
seed. Where the two differ on purpose, `DIFFERENCES` says what each of them gives.
"""

import fcntl
import itertools
import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grammar import GrammarError, compile_template

pytestmark = pytest.mark.e2e

VERSION = "4.7.8"
INSTALL_SECONDS = 120
RENDER_SECONDS = 60
DRAWN = 600
REFUSED = None
"""What a template gives that does not compile."""

RUNNER = """
const handlebars = require('handlebars');
const {scope, partials, cases} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const shown = cases.map(([template, noEscape]) => {
  const room = handlebars.create();
  for (const name in partials) room.registerPartial(name, partials[name]);
  try { return room.compile(template, {noEscape})(scope); } catch (fault) { return null; }
});
process.stdout.write(JSON.stringify(shown));
"""
SCOPE: dict[str, Any] = {
    "name": "Ann",
    "markup": "x<y>&\"'`=z",
    "zero": 0,
    "one": 1,
    "half": 1.5,
    "minus": -2.5,
    "big": 1e21,
    "small": 1e-7,
    "tiny": 0.000001,
    "yes": True,
    "no": False,
    "nil": None,
    "empty": "",
    "void": [],
    "list": ["p", "q"],
    "nested": [[1, [2, None]], 3],
    "map": {"k": "v", "deep": {"y": 1}},
    "items": [{"n": "a", "s": [1, 2]}, {"n": "b", "s": []}],
    "s p": "spaced",
    "12": "twelve",
    "kind": "row",
}
PARTIALS = {
    "row": "[{{n}}{{name}}]",
    "lines": "one {{k}}\ntwo {{name}}\n",
    "outer": "(\n  {{> lines}}\n)\n",
    "index": "{{@index}}/{{@key}}/{{@first}};",
    "up": "<{{../name}}>",
    "dir/file": "slash",
}
TRUTH = "{{#if $}}Y{{else}}N{{/if}}{{#unless $}}Y{{else}}N{{/unless}}{{^if $}}I{{/if}}"
TRUTH += "{{#if $ includeZero=true}}Z{{/if}}{{#with $}}W{{else}}w{{/with}}{{^$}}inverse{{/$}}"
TRUTH += "{{#each $}}<{{@index}}{{@key}}{{@first}}{{@last}}>{{else}}none{{/each}}"
TABLE = [
    *(TRUTH.replace("$", name) for name in (*SCOPE, "missing", "map.k", "map.x") if " " not in name),
    *("{{#$}}({{.}}){{else}}none{{/$}}".replace("$", n) for n in ("no", "void", "list", "zero", "empty", "nil")),
    "{{name}}{{{markup}}}{{&markup}}{{markup}}",
    "{{zero}}|{{half}}|{{minus}}|{{big}}|{{small}}|{{tiny}}|{{yes}}|{{no}}|{{nil}}|{{list}}|{{nested}}",
    "{{map.k}}{{map/k}}{{this.name}}{{./name}}{{this/name}}{{[s p]}}{{\"s p\"}}{{'s p'}}{{map.[k]}}",
    "{{list.[0]}}{{list.[5]}}{{list.length}}{{name.length}}{{12}}{{missing.x.y}}{{nil.x}}",
    "{{lookup map 'k'}}{{lookup list 1}}{{lookup list 'length'}}{{lookup nil 'x'}}{{lookup map missing}}",
    "{{#each list}}{{lookup ../list @index}}{{@root.name}}{{../map.k}}{{/each}}",
    "{{#each items as |it i|}}{{i}}{{it.n}}{{n}}{{#each it.s as |q|}}{{q}}{{it.n}}{{../n}}{{../../name}}{{/each}}{{/each}}",
    "{{#each map as |value key|}}{{key}}={{#if @last}}last{{/if}};{{/each}}",
    "{{#with map as |m|}}{{m.k}}{{k}}{{../name}}{{m.deep.y}}{{/with}}{{#with this}}{{name}}{{/with}}",
    "{{#with map}}{{#if k}}{{k}}{{../name}}{{/if}}{{#with deep}}{{y}}{{../k}}{{../../name}}{{/with}}{{/with}}",
    "{{#map}}{{k}}{{../name}}{{/map}}{{#items}}{{n}}{{#s}}{{.}}{{/s}}{{../name}}{{/items}}",
    "{{#each nested}}{{#each this}}{{this}},{{/each}};{{/each}}",
    "{{#each list}}{{#each ../items}}{{@../index}}/{{@index}}/{{@../last}};{{/each}}{{/each}}|",
    "{{#if no}}A{{else if zero}}B{{else if yes}}C{{else}}D{{/if}}{{#if no}}A{{else each list}}{{this}}{{/if}}",
    "{{#unless no}}A{{else if yes}}B{{/unless}}{{#if no}}A{{else with map}}{{k}}{{/if}}",
    "a{{! x }}b{{!-- }} --}}c{{!}}d{{!----}}e",
    "\\{{name}} \\\\{{name}} \\\\\\{{name}} \\{{{name}}} x\\ \\x \\\\ \\{{a}}\\{{b}}{{name}}",
    "{ {{name}} } {x} }} {{ name }}{{\nname\n}}",
    "{{missing}}{{__proto__}}{{constructor}}{{map.constructor.name}}{{name.constructor}}",
    "{{> row}}{{> row items.[0]}}{{> row n='x'}}{{> row items.[0] name=half}}{{> dir/file}}{{> row nil}}",
    "{{#each items}}{{> row}}{{> index}}{{> up}}{{/each}}{{> (lookup . 'kind')}}{{> up}}",
    "  {{> lines}}\nX{{> lines}}\n\t{{> lines map}}\r\n{{> outer}}\n    {{> outer}}\nend",
    "{{#each items}}\n  {{> row}}\n{{/each}}\n{{#each list}}\n  - {{this}}\n{{/each}}\n",
    "{{#if (lookup map 'k')}}Y{{/if}}{{#each (lookup items 0)}}{{@key}}{{/each}}",
    "  {{! alone }}  \nx\n {{!-- d --}}\ny\r\n{{#if yes}}\r\nA\r\n{{/if}}\r\n B",
    "{{#if no}}\nA\n{{else if zero}}\nB\n{{else if yes}}\nC\n{{else}}\nD\n{{/if}}\nx",
    "{{#if no~}} A {{~else if yes~}} \n C \n{{~else~}} D {{~/if}} x",
    "{{#each list}}\n{{#if @first}}\nfirst\n{{else}}\nnext\n{{/if}}\n{{/each}}\nend",
    # What neither takes.
    *("{{", "{{}}", "{{a", "{{#a}}", "{{/a}}", "{{a}}}", "{{{a}}", "{{#if a}}{{/b}}", "{{foo.this}}"),
    *("{{a/../b}}", "{{else}}", "{{^}}", "{{#each list}}{{else}}{{else}}{{/each}}", "{{@}}", "{{a b=}}"),
    *("{{> nowhere}}", "{{#if}}{{/if}}", "{{nope name}}", "{{#nope name}}{{/nope}}", "{{(lookup . 'a')}}"),
    *("{{! x", "{{!-- x }}", "{{a 'b}}", "{{a)}}", "{{#with a as |}}{{/with}}", "{{a %}}", "{{lookup}x"),
]  # fmt: skip
SYNTAX = (
    "{{a..b}}", "{{a .. b}}", "{{..}}", "{{../.}}", "{{[this]}}", "{{[..]}}", "{{this.[this]}}",
    "{{#if\nyes}}a{{/if}}", "{{# if yes}}a{{/if}}", "{{#if yes}}a{{/ if}}", "{{ #if yes}}a{{/if}}",
    "{{else}}", "{{#if yes}}a{{ else }}b{{/if}}", "{{#if no}}a{{else  if  yes}}b{{/if}}", "{{^}}",
    "{{#yes}}a{{^}}b{{/yes}}", "{{name~}} \n x", "{{ name ~}} x", "{{~ name}} x", "{{{~name}}}",
    "{{~{name}}}", "{{{name~}}}", "{{{name}~}} x", "{{&~name}}", "{{~&name}}", "{{! a }} b",
    "{{!a--}}b", "{{!--a}}b--}}c", "{{!-a-}}b", "{{!}}--}}x", '{{"name"}}', "{{'name'}}",
    '{{"no such"}}', "{{1}}", "{{12.5}}", "{{-1}}", "{{null}}", "{{undefined}}x", "{{true}}",
    "{{#12}}a{{/12}}", "{{#'name'}}a{{/'name'}}", "{{#with 'x'}}{{.}}{{/with}}",
    "{{#each 'x'}}a{{else}}b{{/each}}", "{{lookup this 'name'}}", '{{lookup . "name"}}',
    "{{lookup this name=1}}", "{{>row}}", "{{> row }}", "{{>  row~}} x", "{{> 'row'}}",
    "{{> [row]}}", "{{> row.x}}", "{{> ../row}}", "{{> @row}}", "{{> row this}}",
    "{{#each list as | a |}}{{a}}{{/each}}", "{{#each list as||}}{{/each}}",
    "{{#each list as |a|~}} {{a}} {{~/each}}", "{{#each list as |a| }}{{a}}{{/each}}",
    "{{#with map as |x|}}{{x.k}}{{#with x.deep as |x|}}{{x.y}}{{/with}}{{/with}}",
    "\\\\\\\\{{name}}", "\\\\ {{name}}", "\\{{name}}\\\\{{name}}", "\\{{name}} \\\\\\{{name}}",
    "\\{{{name}}} {{name}}", "\\", "a\\", "\\{", "\\{{", "\\{{{{name}}", "{{{{name}}}}",
    "{{name}}}}", "{{name}} }}", "{", "{{{", "{ {{name}}", "{{name }", "{{name.}}", "{{.name}}",
    "{{/name}}", "{{name/}}", "{{name//x}}", "{{name.[}}", "{{name.[]}}", "{{name.[x]y}}",
    "{{na-me}}", "{{na_me}}", "{{$name}}", "{{na$me}}", "{{:name}}", "{{na:me}}", "{{na?me}}",
    "{{na;me}}", "{{na,me}}", "{{na*me}}", "{{na+me}}", "{{<name}}", "{{na&me}}", "{{na`me}}",
    "{{na^me}}", "{{na|me}}", '{{na"me}}', "{{na'me}}", "{{na=me}}", "{{na{me}}", "{{na}me}}",
    "{{a@b}}", "{{@root.name}}", "{{@root/name}}", "{{@root.[name]}}", "{{@root.this}}",
    "{{@root..}}", "{{../@root}}", "{{lookup map (lookup list 9)}}",
    "{{lookup (lookup items 0) 'n'}}", "{{(lookup map) 'k'}}", "{{#if (lookup map 'k') }}a{{/if}}",
    "{{lookup map\n'k'}}", "{{lookup map'k'}}", '{{lookup map "k"}}', "{{lookup map k=}}",
    "{{lookup map 'k' }}", "{{lookup list 00}}", "{{lookup list 1.0}}", "{{lookup list -1}}",
    "{{lookup list true}}", "{{lookup name 0}}", "{{#unless zero includeZero=true}}a{{/unless}}",
    "{{#if zero includeZero=false}}a{{/if}}", "{{#if yes}}{{else}}{{/if}}x",
    "{{#if yes}}a{{else}}b{{else if no}}c{{/if}}", "{{#if yes}}a{{/if yes}}",
    "{{#map}}{{this.k}}{{/map}}", "{{#map.deep}}{{y}}{{/map.deep}}",
    "{{#map/deep}}{{y}}{{/map/deep}}", "{{#map.deep}}{{y}}{{/map/deep}}",
    "{{#this}}{{name}}{{/this}}", "{{#.}}{{name}}{{/.}}", "{{#@root}}{{name}}{{/@root}}",
    "{{#each @root.list}}{{.}}{{/each}}", "{{#each this}}{{#if @last}}{{@key}}{{/if}}{{/each}}",
    "{{name}}\xa0{{~name}}", "\u2028{{~name}}", "\ufeff{{~name~}}\ufeff", "\x85{{~name}}",
    "\x1f{{~name}}", "  \xa0{{#if yes}}\nx\n{{/if}}\n",
)  # fmt: skip
"""Every odd way to write a tag on which the two agree, to take it or to refuse it."""
BEFORE = ("", "a", " ", "\n", "a\n ", "a ")
TAGS = ("{{#if yes}}", "{{~#if yes}}", "{{#if no~}}", "{{^if no}}", "{{#each list}}")
INSIDE = ("", " ", "\n", "b", "\n b\n ", " \nb{{else}}c\n", "b\n{{else}}\nc\n", " {{~else~}} \nd")
AFTER = ("", "e", " ", "\n", " \n\ne")
LEAVES = (
    " ", "\n", "\n  ", "x", "\t\n", "\\", "{{! c }}", "{{> row}}", "{{> lines}}", "{{name}}",
    "{{~n~}}", "<{{@index}}>", "{{../name}}", "{{this.k}}", "{{{markup}}}", "{{&name~}}", "{{markup}}",
)  # fmt: skip
DIFFERENCES: dict[str, tuple[str | None, str | None]] = {
    # Maps are shown as JSON.
    "{{map}}": ('{"k":"v","deep":{"y":1}}', "[object Object]"),
    # An index needs no brackets.
    "{{list.1}}": ("q", REFUSED),
    # Unescaped numbers side by side are not added up.
    "{{half}}{{half}}": ("1.51.5", "3"),
    # A plain section of an array gives no loop data; `#each` does.
    "{{#list}}{{.}}{{@index}}{{/list}}": ("pq", "p0q1"),
    # `..` counts blocks, also when a block's context is the same as the one around it.
    "{{#with name}}{{#with ../name}}{{../one}}{{/with}}{{/with}}": ("", "1"),
    # Unknown names are found when the template is compiled, wherever they stand.
    "{{#if no}}{{nope 1}}{{/if}}": (REFUSED, ""),
    "{{@unknown}}": (REFUSED, ""),
    # What is left out: partial blocks, inline partials, raw blocks.
    "{{#*inline 'x'}}i{{/inline}}{{> x}}": (REFUSED, "i"),
    "{{#> nowhere}}else{{/nowhere}}": (REFUSED, "else"),
}


def set_around_a_block() -> list[str]:
    closing = {"{{#each list}}": "{{/each}}"}
    return [
        before + tag + inside + strip + closing.get(tag, "{{/if}}")[2:] + after
        for before, tag, inside, strip, after in itertools.product(
            BEFORE, TAGS, INSIDE, ("{{", "{{~"), AFTER
        )
    ]


def drawn(count: int) -> list[str]:
    """Draw templates; the seed is fixed, so that a failure comes again."""
    dice = random.Random(20_260_301)  # noqa: S311 - no secret
    return [draw(dice, 3) for _ in range(count)]


def draw(dice: random.Random, levels: int) -> str:
    return "".join(piece(dice, levels) for _ in range(dice.randint(1, 5)))


def piece(dice: random.Random, levels: int) -> str:
    if levels and dice.random() < 0.4:
        return block(dice, levels)
    return dice.choice(LEAVES)


def block(dice: random.Random, levels: int) -> str:
    left, right, third, fourth = (dice.choice(["", "", "", "~"]) for _ in range(4))
    kind = dice.choice(["if", "unless", "each", "with"])
    value = dice.choice(["yes", "no", "list", "items", "map", "zero", "missing", "void"])
    opening = dice.choice(["#", "#", "#", "^"])
    text = f"{{{{{left}{opening}{kind} {value}{right}}}}}{draw(dice, levels - 1)}"
    if dice.random() < 0.3 and opening == "#":
        chained = dice.choice(["if", "unless", "with", "each"])
        text += f"{{{{{third}else {chained} {dice.choice(['yes', 'no', 'map'])}{fourth}}}}}"
        text += draw(dice, levels - 1)
    if dice.random() < 0.5:
        text += f"{{{{{third}{dice.choice(['else', '^'])}{fourth}}}}}{draw(dice, levels - 1)}"
    return text + f"{{{{{fourth}/{kind}{third}}}}}"


def ours(template: str, *, is_raw: bool) -> str | None:
    try:
        compiled = compile_template(
            template, partials=PARTIALS, escape="none" if is_raw else "html"
        )
        return compiled.render(SCOPE)
    except GrammarError:
        return REFUSED


def theirs(folder: Path, cases: list[tuple[str, bool]]) -> list[str | None]:
    job = {"scope": SCOPE, "partials": PARTIALS, "cases": cases}
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, "-e", RUNNER],
        cwd=folder,
        input=json.dumps(job),
        capture_output=True,
        check=True,
        text=True,
        timeout=RENDER_SECONDS,
    )
    shown: list[str | None] = json.loads(done.stdout)
    return shown


@pytest.fixture(scope="module")
def handlebars(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has the package; installed once, kept with pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    cache = getattr(pytestconfig, "cache", None)
    name = f"handlebars-{VERSION}"
    folder = tmp_path_factory.mktemp(name) if cache is None else Path(cache.mkdir(name))
    try:
        _install(npm, folder)
    except (subprocess.SubprocessError, OSError) as fault:
        pytest.skip(f"npm cannot install handlebars {VERSION}: {type(fault).__name__}")
    return folder


def _install(npm: str, folder: Path) -> None:
    """Install the package unless it is there; one of several test processes does it."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_whole(folder):
            return
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-save"]
        subprocess.run(
            [npm, "install", "--prefix", str(folder), *options, f"handlebars@{VERSION}"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=INSTALL_SECONDS,
        )


def _is_whole(folder: Path) -> bool:
    """Tell whether the package is there and loads: an installation may have been cut off."""
    command = ["node", "-e", "require('handlebars')"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def differences(
    folder: Path, templates: list[str]
) -> list[tuple[str, bool, str | None, str | None]]:
    cases = [(template, is_raw) for template in templates for is_raw in (True, False)]
    both = zip(cases, theirs(folder, cases), strict=True)
    found = []
    for (template, is_raw), expected in both:
        shown = ours(template, is_raw=is_raw)
        if shown != expected:
            found.append((template, is_raw, shown, expected))
    return found


def test_the_table_renders_the_same(handlebars: Path) -> None:
    assert differences(handlebars, TABLE) == []


def test_odd_tags_are_taken_or_refused_alike(handlebars: Path) -> None:
    assert differences(handlebars, list(SYNTAX)) == []


def test_white_space_around_blocks_is_the_same(handlebars: Path) -> None:
    assert differences(handlebars, set_around_a_block()) == []


def test_drawn_templates_render_the_same(handlebars: Path) -> None:
    assert differences(handlebars, drawn(DRAWN)) == []


def test_the_known_differences_are_these(handlebars: Path) -> None:
    cases = [(template, True) for template in DIFFERENCES]
    shown = [ours(template, is_raw=True) for template in DIFFERENCES]
    both = zip(shown, theirs(handlebars, cases), strict=True)
    assert dict(zip(DIFFERENCES, both, strict=True)) == DIFFERENCES
