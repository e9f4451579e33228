"""The page of node types: the catalogue, each type's module text and its config model.

In: `actors.nodes.catalog`. Out: Markdown. A type that is added to the catalogue is on the page.
"""

import sys
from collections.abc import Iterator

from actors.nodes.catalog import CATALOG
from actors.nodes.spec import NodeSpec
from actors.nodes.unsupported import LATER_TYPES, UNSUPPORTED_TYPES
from app.cli.docs_markdown import code, page, prose, table
from app.cli.docs_models import HEAD, model_rows, models_within


def node_types_page() -> str:
    """Give the page."""
    return page(
        "Node types",
        "What stands in a node's `config`, and what the node gives. How nodes are put together, and"
        " an example of each, is in [flows.md](flows.md). Every text may be a template"
        " (`{{payload.id}}`), but for `script`, `expression` and `filter`, which are programs."
        " Times are in milliseconds unless the text says otherwise.",
        table(
            ("type", "what it does", "value also as"),
            [(_link(spec.type), spec.summary, code(spec.value_name or "")) for spec in CATALOG],
        ),
        *(part for spec in CATALOG for part in _parts(spec)),
        "## Not in this version",
        "These are errors of `flow doctor`: "
        + "; ".join(f"{code(name)} ({text})" for name, text in sorted(LATER_TYPES.items()))
        + ". These belong to messaging, are warned of, and fail the run that reaches them: "
        + ", ".join(map(code, UNSUPPORTED_TYPES))
        + ".",
    )


def _link(node_type: str) -> str:
    return f"[`{node_type}`](#{node_type})"


def _parts(spec: NodeSpec) -> Iterator[str]:
    yield f"## {spec.type}"
    yield spec.summary
    text = prose(sys.modules[spec.build.__module__].__doc__)
    yield from (part.replace("\n", " ") for part in text.split("\n\n")[1:])
    if spec.has_effect:
        yield (
            "It has an effect: a run that is repeated after a crash does not execute again what is"
            " on record; [guarantees.md](guarantees.md) says what may happen twice."
        )
    yield table(HEAD, model_rows(spec.config))
    for model in models_within(spec.config):
        yield f"{code(model.__name__)}: {prose(model.__doc__)}"
        yield table(HEAD, model_rows(model))
