"""The page of the language: what scripts may call, what they may use, how they can end.

In: the library's own entries and their docstrings, the limits and their docstrings. Out: Markdown.
What the parser knows by name, and the kinds of errors, have no docstrings and stand here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Final

from app.cli.docs_markdown import attribute_docs, code, page, prose, table
from grammar import DEFAULT_LIMITS, Limits
from grammar.library import arrays, callbacks, conversions, errors, maps, numbers, strings
from grammar.runtime.registry import HOST, Entry

_WHERE: Final = (
    "Scripts, conditions and the expressions in templates are one language, a dialect of Rhai."
    " A **script** is a list of statements, and its value is that of the last one. A **condition**"
    " (of a `branch`, a filter, a trigger) is one expression that gives a bool; unit, which is what"
    " an absent key gives, counts as false. Every text is compiled when its flow is loaded;"
    " `greentic-events script run FILE` runs one alone, `script repl` tries things out,"
    " `script fmt` lays files out."
)
_CALLING: Final = (
    "A function can be called in two styles: `len(a)` is `a.len()`. Functions that change their"
    " first argument say so; they change variables and what hangs on them, never the data of the"
    " event or of other nodes. Positions begin at 0, negative ones count from the end, and where no"
    " error is named a position outside is moved to the nearest end."
)
_VALUES: Final = (
    ("`()`", "unit, the only null; JSON's null is read as it"),
    ("`bool`", "`true` or `false`, never a number"),
    ("`i64`", "64 bits; a result that does not fit is the error `arithmetic`"),
    ("`f64`", "IEEE 754; `1.0 / 0.0` is infinite"),
    ("`char`", "one code point: `'x'`"),
    ("`string`", '`"…"` with escapes, `#"…"#` without, `` `…${value}…` `` with values in it'),
    ("`array`", "`[1, 2]`; copied when assigned, passed or stored"),
    ("`map`", "`#{a: 1}`; keys are strings and stand in their order; copied as arrays are"),
    ("`range`", "`0..5` without its end, `0..=5` with it"),
    ("`Fn`", "a closure `|x| x + 1`, or the name of a function; called by `f.call(1)`"),
)
_BUILT_IN: Final = (
    ("`print(x)`, `debug(x)`", "Write a text, as people or as scripts would write the value."),
    ("`type_of(x) -> string`", "The name of the type, as above."),
    ("`format!(text, a, …) -> string`", "Puts values into the `{}` of a literal text."),
    ("`call(f, a, …)`, `f.call(a, …)`", "Calls a function value."),
    ("`f.curry(a, …) -> Fn`", "Fixes the first arguments."),
    ("`Fn(name) -> Fn`", "The function of that name."),
    ("`is_def_var(name) -> bool`", "Whether there is such a variable."),
    ("`is_def_fn(name, n) -> bool`", "Whether the script has such a function of n parameters."),
    ("`exit([value])`", "Ends the whole script with a value."),
)
_CALLBACKS: Final = (
    "The functions that take a function `f`: one of one parameter gets the item, one of two the"
    " item and its position, and one of none has the item as `this`."
)
_HOST: Final = (
    "`state` is no map of the script's own: reads ask the store, and what a script sets is written"
    " when it has succeeded."
)
ERROR_KINDS: Final = (
    ("parse", "no", "the text is not in the language; caught only where `parse_json` raises it"),
    ("format", "no", "a `format!` text is wrong, or has not as many `{}` as values"),
    ("variable_not_found", "yes", "no variable, name of the scope or function has this name"),
    ("function_not_found", "yes", "no function or operator takes values of these types"),
    ("type_mismatch", "yes", "a value has another type than its place asks for"),
    ("dot_expr", "yes", "the value has no such property; unit has none at all"),
    ("indexing_type", "yes", "the value cannot be indexed"),
    ("array_bounds", "yes", "a position outside an array"),
    ("string_bounds", "yes", "a position outside a string"),
    ("arithmetic", "yes", "overflow, division by zero, a malformed number"),
    ("for_not_iterable", "yes", "`for` over what has no items; a map has `keys()`"),
    ("assign_to_constant", "yes", "assignment to a constant or into it"),
    ("mutate_constant", "yes", "a call that would change a constant"),
    ("unbound_this", "yes", "`this` in a function that was not called on a value"),
    ("thrown", "yes", "`throw`; carries the value"),
    ("not_serialisable", "no", "the result holds a function or a range"),
    ("limit_operations", "no", "more operations than allowed"),
    ("limit_call_levels", "no", "calls nested too deeply"),
    ("limit_data_size", "no", "a string, array or map too large"),
    ("limit_depth", "no", "arrays and maps nested too deeply"),
    ("limit_output", "no", "too much printed"),
    ("limit_time", "no", "took too long"),
    ("limit_variables", "no", "too many variables"),
)
"""Kind, whether `catch` gets it, meaning. Kinds of LANGUAGE.md that the language cannot raise are
left out."""


def language_page() -> str:
    """Give the page of the language."""
    return page(
        "Language",
        _WHERE,
        "## Values",
        table(("type", "what it is"), _VALUES),
        "## Functions",
        _CALLING,
        "### Of every script",
        table(("function", "meaning"), _BUILT_IN),
        *_functions(),
        "## Limits",
        "Each evaluation has its own. Reaching one ends it; no `catch` gets such an error.",
        table(("limit", "default", "meaning"), _limits()),
        "## Errors",
        "A script catches what it can with `try { … } catch (e) { … }`: `e` is the thrown value, or"
        " a map with `error`, `message`, `line` and `position`.",
        table(("kind", "caught", "meaning"), ((code(a), b, c) for a, b, c in ERROR_KINDS)),
    )


def _functions() -> Iterator[str]:
    own_maps = [entry for entry in maps.ENTRIES if entry.parameters[0] != HOST]
    host_maps = [entry for entry in maps.ENTRIES if entry.parameters[0] == HOST]
    ranges, plain = _split_numbers()
    for title, note, entries in (
        ("Strings and chars", "", (*strings.ENTRIES, *strings.DIALECT_ENTRIES)),
        ("Arrays", "", arrays.ENTRIES),
        ("Arrays, with functions", _CALLBACKS, callbacks.ENTRIES),
        ("Maps", "", own_maps),
        ("State", _HOST, host_maps),
        ("Numbers", "", plain),
        ("Ranges", "", ranges),
        ("Conversions and others", "", (*conversions.ENTRIES, *errors.ENTRIES)),
    ):
        yield f"### {title}"
        if note:
            yield note
        yield table(("function", "meaning"), function_rows(entries))


def _split_numbers() -> tuple[list[Entry], list[Entry]]:
    ranges = [entry for entry in numbers.ENTRIES if _is_of_range(entry)]
    return ranges, [entry for entry in numbers.ENTRIES if not _is_of_range(entry)]


def _is_of_range(entry: Entry) -> bool:
    types = entry.parameters[0] if entry.parameters else None
    return types is not None and {kind.__name__ for kind in types} == {"Range"}


def function_rows(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Give signature and meaning of each function, once however many forms it has."""
    rows: dict[tuple[str, str], None] = {}
    for entry in entries:
        signature, meaning = _parts(entry)
        rows.setdefault((signature, meaning))
    return list(rows)


def _parts(entry: Entry) -> tuple[str, str]:
    """Cut a docstring behind the signature it begins with; another name refers to the first."""
    _, signature, rest = prose(entry.function.__doc__).split("`", 2)
    named = signature.split("(", 1)[0].rsplit(".", 1)[-1]
    if named != entry.name:
        return code(signature.replace(named, entry.name, 1)), f"The same as {code(named)}."
    return code(signature), rest.removeprefix(".").strip()


def _limits() -> Iterator[tuple[str, str, str]]:
    meanings = attribute_docs(Limits)
    for field in fields(Limits):
        default = getattr(DEFAULT_LIMITS, field.name)
        yield code(field.name), f"{default:,g}", meanings[field.name]
