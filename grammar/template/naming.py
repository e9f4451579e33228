"""What a call in a template means. In: a call. Out: whether it is a helper, and which.

The checker and the compiler must agree on this, so it stands here once. Refuses nothing.
"""

from __future__ import annotations

from grammar.template.helpers.catalog import BY_NAME, HelperSpec
from grammar.template_syntax import Block, Call, Expression, Literal, Path

BLOCKS = ("if", "unless", "each", "with")


def simple_name(head: Expression) -> str | None:
    """Return the name when the head is one plain name, which may be a helper's."""
    if isinstance(head, Path) and not (head.is_data or head.is_scoped) and len(head.keys) == 1:
        return head.keys[0]
    return None


def helper_of(call: Call, names: frozenset[str]) -> HelperSpec | None:
    """Return the helper a call means. A bare name is one only if it needs no argument.

    So `{{currency}}` reads the order's field of that name, and `{{currency total}}` calls.
    `names` are the block parameters in sight; they come before helpers.
    """
    name = simple_name(call.head)
    if name is None or name in names:
        return None
    spec = BY_NAME.get(name)
    if spec is None or (spec.params_min > 0 and not has_arguments(call)):
        return None
    return spec


def has_arguments(call: Call) -> bool:
    """Tell whether anything follows the head."""
    return bool(call.params or call.hash)


def block_kind(block: Block) -> str:
    """Return `if`, `unless`, `each`, `with`, `test` for a comparing helper, else `section`."""
    name = simple_name(block.call.head)
    if name in BLOCKS:
        return str(name)
    spec = BY_NAME.get(name or "")
    return "test" if spec and spec.is_test and has_arguments(block.call) else "section"


def pushes_context(block: Block) -> bool:
    """Tell whether the body of a `#with` has a context of its own; `#with this` keeps its."""
    return not is_this(block.call.params[0])


def is_this(node: Expression) -> bool:
    """Tell whether an expression is the context itself."""
    return isinstance(node, Path) and not (node.keys or node.up or node.is_data)


def as_path(head: Expression) -> Path:
    """Read a literal in head position as the key it spells: `{{"first name"}}`, `{{12}}`."""
    if isinstance(head, Literal):
        return Path((head.original,), 0, False, False, head.original, head.span)
    assert isinstance(head, Path)  # noqa: S101 - the checker refuses calls as heads
    return head


def partial_name(head: Expression) -> str | None:
    """Return a partial's name, or None when an expression computes it."""
    return None if isinstance(head, Call) else head.original
