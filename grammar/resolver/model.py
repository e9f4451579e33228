"""What the resolver finds out. In: nothing. Out: variables, frames, and the notes on both.

These records are filled while the tree is walked and read by the compiler afterwards. Refuses
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grammar.syntax import Expression


@dataclass(slots=True, eq=False)
class Variable:
    """One variable. Its flags decide how the compiler keeps it.

    `is_captured`: shared with a closure, so it lives in a cell. `is_owned`: changed in place
    somewhere, so nothing else may share its data. `is_host`: a name of the scope that the script
    assigns or changes; the script works on its own copy.
    """

    name: str
    number: int
    frame: Frame
    is_constant: bool = False
    is_captured: bool = False
    is_owned: bool = False
    is_host: bool = False
    is_assigned: bool = False
    is_grown: bool = False
    sources: list[Expression | None] = field(default_factory=list)

    @property
    def code_name(self) -> str:
        """The name in compiled code: no name of a script ever becomes one."""
        return f"v{self.number}"


@dataclass(slots=True, eq=False)
class Frame:
    """The script itself, one function, or one closure."""

    node: Any
    parent: Frame | None
    is_function: bool
    captures: list[Variable] = field(default_factory=list)
    hosts: list[Variable] = field(default_factory=list)
    uses_scope: bool = False
    uses_this: bool = False
    number: int = 0


@dataclass(slots=True)
class Resolution:
    """The notes on one tree. Keys are nodes; nodes compare by identity."""

    uses: dict[Any, Variable] = field(default_factory=dict)
    frames: dict[Any, Frame] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    functions: dict[tuple[str, int], Any] = field(default_factory=dict)
    function_names: set[str] = field(default_factory=set)
    defined: dict[Any, bool | None] = field(default_factory=dict)
    mutates_this: bool = False
    main: Frame | None = None
