"""`branch`: the first true condition chooses where the run goes on.

In: `conditions`, each an expression and a target, and `default`. Out: a target; no value. With none
true and no `default` the run goes to the node's `next`, or ends (SPEC 4). A condition that is
neither true, false nor unit fails the step.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from actors.nodes.language import failure_of
from actors.nodes.schema import STRICT
from actors.nodes.site import STATE, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec, Reference
from actors.nodes.state_access import StatefulNode
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from grammar import Budget, EvaluationError, Program

CONDITIONS_MAX = 100


class Condition(BaseModel):
    """One arm: where to go when the expression is true."""

    model_config = STRICT

    expression: str
    """A program of one expression that gives true or false."""
    next: str
    """A node, or a reserved target."""


class BranchConfig(BaseModel):
    """Arms in the order they are tried."""

    model_config = STRICT

    conditions: list[Condition] = Field(min_length=1, max_length=CONDITIONS_MAX)
    """Tried in this order, at most 100."""
    default: str | None = None
    """Where to go when none is true."""


@dataclass(frozen=True, slots=True)
class BranchNode:
    """Tries its arms; the outcomes are made once, when the flow is compiled."""

    arms: tuple[tuple[Program, Advance], ...]
    otherwise: Advance

    def step(self, context: StepContext) -> Advance:
        """Choose; PermanentError (``condition.…``) when an expression fails or is no bool."""
        budget = Budget()
        try:
            for program, chosen in self.arms:
                if program.run(context.scope, budget) is True:
                    return chosen
        except EvaluationError as error:
            raise failure_of(error, "condition") from None
        return self.otherwise


def build_branch(config: BranchConfig, site: NodeSite) -> NodePlan:
    """Compile the conditions and collect the targets."""
    arms = []
    targets = []
    for index, item in enumerate(config.conditions):
        program = site.condition(item.expression, "conditions", index, "expression")
        arms.append((program, Advance(goto=item.next, binds=False)))
        targets.append(Reference(item.next, ("conditions", index, "next")))
    if config.default is not None:
        targets.append(Reference(config.default, ("default",)))
    node = BranchNode(tuple(arms), Advance(goto=config.default, binds=False))
    touches_state = any(STATE in program.names for program, _ in arms)
    return NodePlan(
        StatefulNode(node) if touches_state else node,
        targets=tuple(targets),
        uses_next=config.default is None,
    )


BRANCH = NodeSpec(
    type="branch",
    summary="Goes where the first true condition says.",
    config=BranchConfig,
    build=build_branch,
)
