"""Compiles the steps of a chain that is written to. In: the chain. Out: its root, kinds and keys.

The kinds are one letter a step, read by `grammar.runtime.access`: `p` property, `i` index, upper
case for `?.` and `?[`. Refuses nothing.
"""

from __future__ import annotations

import ast
from typing import Any

from grammar.compiler import emit
from grammar.compiler.state import FrameState
from grammar.syntax import Group, Index, Name, Property, This


def target_path(k: FrameState, node: Any) -> tuple[Name | This, str, list[ast.expr]]:
    """Evaluate the indexes of a chain from left to right."""
    steps: list[Property | Index] = []
    while isinstance(node, Property | Index | Group):
        if isinstance(node, Group):
            node = node.inner
        else:
            steps.append(node)
            node = node.target
    kinds = ""
    keys: list[ast.expr] = []
    for step in reversed(steps):
        letter = "p" if isinstance(step, Property) else "i"
        kinds += letter.upper() if step.is_optional else letter
        if isinstance(step, Property):
            keys.append(emit.constant(step.name))
        else:
            key = k.value(step.index)
            keys.append(key.expr)
    return node, kinds, keys
