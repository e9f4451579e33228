"""Walk: take a run from node to node until it ends.

In: a run that has begun. Out: its outcome. Nodes that never wait are taken in a plain loop, without
the event loop; only a node that waits makes the run a task (a task per run costs more than a whole
branch-and-script flow). Every failure of a step becomes `on_error` or the run's end here.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, cast

from actors.errors import NodeError, PermanentError
from actors.flows.compiled import END_TARGETS, RESPOND, CompiledFlow, CompiledNode
from actors.ids import step_id
from actors.nodes.scope import RunScope, build_scope
from actors.nodes.step import InlineNode, WaitingNode
from actors.outcomes import (
    Answer,
    CallFlow,
    Completed,
    Failed,
    Interrupted,
    RunError,
    RunOutcome,
    StepOutcome,
)
from actors.runs.run import NESTING_MAX, Frame, Run

KEEP_ALIVE_AGE_SECONDS_MAX: Final = 15.0
"""Half of the consumer's ack_wait: past it another worker may have the delivery already."""


class Walker:
    """Walks the runs of one flow. ``flows`` are the tenant's, by name, for `flow2flow`."""

    def __init__(self, flows: Mapping[str, CompiledFlow]) -> None:
        self._flows = flows

    def walk_inline(self, run: Run) -> RunOutcome | None:
        """Take every step that does not wait. None: the next step waits, call `walk`."""
        while True:
            node = self._next_node(run)
            if node is None:
                return self._end(run)
            if not node.is_inline:
                return None
            failure = self._take_inline(run, node)
            if failure is not None:
                return failure

    async def walk(self, run: Run) -> RunOutcome:
        """Take all remaining steps, waiting where nodes wait."""
        while True:
            outcome = self.walk_inline(run)
            if outcome is not None:
                return outcome
            node = cast("CompiledNode", self._next_node(run))
            outcome = await self._take_waiting(run, node)
            if outcome is not None:
                return outcome

    # ── One step ─────────────────────────────────────────────────────────────────────────────

    def _take_inline(self, run: Run, node: CompiledNode) -> RunOutcome | None:
        if run.context.world.clock.monotonic() >= run.deadline:
            return _overdue(run, node)
        try:
            outcome = cast("InlineNode", node.behaviour).step(run.enter(node))
            self._move(run, node, outcome)
        except NodeError as error:
            return self._divert(run, node, error)
        return None

    async def _take_waiting(self, run: Run, node: CompiledNode) -> RunOutcome | None:
        clock = run.context.world.clock
        if (
            clock.monotonic() - run.request.share.delivery.kept_alive_at
            > KEEP_ALIVE_AGE_SECONDS_MAX
        ):
            return Interrupted("the delivery was not kept alive; another worker may have it")
        remaining = run.deadline - clock.monotonic()
        if remaining <= 0:
            return _overdue(run, node)
        try:
            context = run.enter(node)
            async with asyncio.timeout(min(node.timeout_seconds, remaining)) as limit:
                outcome = await cast("WaitingNode", node.behaviour).step_waiting(context)
            self._move(run, node, outcome)
        except TimeoutError:
            if limit.expired() and remaining <= node.timeout_seconds:
                return _overdue(run, node)
            seconds = node.timeout_seconds
            late = PermanentError(f"no outcome within {seconds:g} s", reason="timeout")
            return self._divert(run, node, late)
        except NodeError as error:
            return self._divert(run, node, error)
        return None

    # ── Where a step leads ───────────────────────────────────────────────────────────────────

    def _next_node(self, run: Run) -> CompiledNode | None:
        """Find the node to take, returning from sub-flows that have ended; None at the end."""
        while True:
            frame = run.frame
            node = None if frame.target is None else frame.flow.nodes.get(frame.target)
            if node is not None or frame.caller is None or frame.target not in _ENDS:
                return node
            run.frames.pop()
            run.bind(frame.caller, frame.last_value)
            run.frame.target = frame.caller.next

    def _move(self, run: Run, node: CompiledNode, outcome: StepOutcome) -> None:
        if isinstance(outcome, CallFlow):
            self._call(run, node, outcome)
            return
        if outcome.binds:
            run.bind(node, outcome.value)
        run.frame.target = node.next if outcome.goto is None else outcome.goto

    def _call(self, run: Run, node: CompiledNode, call: CallFlow) -> None:
        """Push a frame for a sub-flow; it shares the run's limits and has no result of its own."""
        flow = self._flows.get(call.flow)
        if flow is None:
            raise PermanentError(f"there is no flow {call.flow!r}", reason="unknown_flow")
        if len(run.frames) > NESTING_MAX:
            raise PermanentError(f"sub-flows nest deeper than {NESTING_MAX}", reason="nesting")
        scope = self._sub_scope(run, flow, call)
        target = entry_target(flow)
        run.frames.append(Frame(flow, scope, target, path=run.context.step_id, caller=node))

    def _sub_scope(self, run: Run, flow: CompiledFlow, call: CallFlow) -> RunScope:
        outer = run.frame.scope
        event = {**outer["event"], "payload": call.payload}
        if call.passes_context:
            names = {"event": event, "payload": call.payload, "flow": flow.variables}
            return outer.for_sub_flow(names, call.payload)
        world = run.context.world
        fresh = build_scope(
            run.request.event,
            env=world.env,
            tenant=run.context.tenant,
            now_seconds=outer["now"],
            variables=flow.variables,
        )
        return fresh.for_sub_flow({"event": event, "payload": call.payload}, call.payload)

    def _divert(self, run: Run, node: CompiledNode, error: NodeError) -> RunOutcome | None:
        """Lead a failed step to its node's `on_error`, or outwards to a calling node's."""
        failure = RunError(error.reason, step_id(run.frame.path, node.id), str(error))
        handler: CompiledNode | None = node
        if error.reason in _NOT_HANDLED:
            handler = None
        while handler is not None:
            if handler.on_error is not None:
                run.frame.scope["error"] = failure.as_mapping()
                run.frame.target = handler.on_error
                return None
            handler = run.frame.caller
            if handler is not None:
                run.frames.pop()
        return Failed(failure)

    def _end(self, run: Run) -> RunOutcome:
        frame = run.frame
        if frame.target == RESPOND and run.context.reply_to is not None:
            answer = Answer(status=200, body=frame.last_value)
            run.context.world.answers.send(run.context.reply_to, answer)
        elif frame.target not in _ENDS:
            error = RunError("dangling_target", None, f"there is no node {frame.target!r}")
            return Failed(error)
        return Completed(frame.last_value)


_NOT_HANDLED: Final = frozenset({"steps_exceeded"})
"""Failures that `on_error` must not catch: it would only go on with the endless loop."""

_ENDS: Final = END_TARGETS | {None, RESPOND}


def _overdue(run: Run, node: CompiledNode) -> Failed:
    """End a run whose time is over: no `on_error` could do anything with no time left."""
    seconds = run.flow.timeout_seconds
    message = f"the flow's timeout of {seconds:g} s is over"
    return Failed(RunError("timeout", step_id(run.frame.path, node.id), message))


def entry_target(flow: CompiledFlow) -> str | None:
    """Where a sub-flow begins: at its first trigger's target, else at its first node."""
    if flow.triggers:
        return flow.triggers[0].target
    return next(iter(flow.nodes), None)
