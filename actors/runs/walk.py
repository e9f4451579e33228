"""Walk: take a run from node to node until it ends, or pauses.

In: a run that has begun. Out: its outcome, or a `Pause`. Nodes that never wait are taken in a plain
loop, without the event loop; only a node that waits makes the run a task (a task per run costs more
than a whole branch-and-script flow). Steps that stand in the run's journal are not taken again.
Every failure of a step becomes a pause before the next try, `on_error`, or the run's end here.
"""

from collections.abc import Mapping
from typing import Final, cast

from actors.errors import NodeError, PermanentError, RunLostError, TransientError
from actors.flows.compiled import END_TARGETS, RESPOND, CompiledFlow, CompiledNode
from actors.ids import step_id
from actors.nodes.scope import RunScope, build_scope
from actors.nodes.step import InlineNode
from actors.outcomes import (
    Advance,
    Answer,
    CallFlow,
    Completed,
    Failed,
    Interrupted,
    RunError,
    RunOutcome,
    Sleep,
    StepOutcome,
)
from actors.ports import ABSENT
from actors.runs.pause import Pause
from actors.runs.perform import OverdueError, StaleError, check_may_begin, journal_of, take_step
from actors.runs.retrying import FLOW, pause_ms
from actors.runs.run import NESTING_MAX, STEPS_EXCEEDED, Frame, Run, step_key


class Walker:
    """Walks the runs of one flow. ``flows`` are the tenant's, by name, for `flow2flow`."""

    def __init__(self, flows: Mapping[str, CompiledFlow]) -> None:
        self._flows = flows

    def walk_inline(self, run: Run) -> RunOutcome | Pause | None:
        """Take every step that does not wait. None: the next step waits, call `walk`."""
        while True:
            node = self._next_node(run)
            if node is None:
                run.ended_at = run.context.world.clock.monotonic()
                return self._end(run)
            if not node.is_inline:
                run.mark_rest()
                return None
            failure = self._take_inline(run, node)
            if failure is not None:
                run.mark_rest()
                return failure

    async def walk(self, run: Run) -> RunOutcome | Pause:
        """Take all remaining steps, waiting where nodes wait."""
        try:
            while True:
                outcome = self.walk_inline(run)
                if outcome is not None:
                    return outcome
                node = cast("CompiledNode", self._next_node(run))
                outcome = await self._take_waiting(run, node)
                if outcome is not None:
                    return outcome
        except RunLostError as error:
            return Interrupted(str(error), is_lost=True)

    # ── One step ─────────────────────────────────────────────────────────────────────────────

    def _take_inline(self, run: Run, node: CompiledNode) -> RunOutcome | Pause | None:
        began = run.context.world.clock.monotonic()
        if began >= run.deadline:
            return _overdue(run, node)
        try:
            outcome = cast("InlineNode", node.behaviour).step(run.enter(node))
            run.marks.append((began, node, outcome, None, ABSENT))
            self._move(run, node, outcome)
        except NodeError as error:
            run.mark_failed(began, node, error.reason)
            return _pause_before_retry(run, node, error) or self._divert(run, node, error)
        return None

    async def _take_waiting(self, run: Run, node: CompiledNode) -> RunOutcome | Pause | None:
        began = run.context.world.clock.monotonic()
        try:
            if not run.context.journal.is_replaying:
                check_may_begin(run)
            outcome = await self._enter_and_take(run, node, began)
        except OverdueError:
            run.mark_broken_off("timeout")
            return _overdue(run, node)
        except StaleError as error:
            return Interrupted(str(error), is_lost=True)
        except NodeError as error:
            run.mark_broken_off(error.reason)
            return await self._fail(run, node, error)
        if isinstance(outcome, RunError):
            run.mark_broken_off(outcome.code)
            return self._divert(run, node, PermanentError(outcome.message, reason=outcome.code))
        run.mark_end(outcome)
        return self._go_on(run, node, outcome)

    async def _enter_and_take(
        self, run: Run, node: CompiledNode, began: float
    ) -> StepOutcome | RunError:
        try:
            context = run.enter(node)
        except PermanentError as error:
            return RunError(error.reason, None, str(error))
        context.given = ABSENT
        run.marks.append((began, node, None, None, ABSENT))
        return await take_step(run, node, context)

    async def _fail(
        self, run: Run, node: CompiledNode, error: NodeError
    ) -> RunOutcome | Pause | None:
        """Decide what a failure leads to, and keep it before anything follows from it."""
        pause = _pause_before_retry(run, node, error)
        if pause is not None:
            return pause
        if node.is_journalled:
            race, journal = run.context.race, journal_of(run)
            if journal.has(race):
                # What the step came to is kept already; only its writes may be missing.
                return Interrupted(f"a write to the state failed: {error}")
            failure = RunError(error.reason, None, str(error))
            await journal.record(failure, race, operations=run.context.step_operations)
        return self._divert(run, node, error)

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

    def _go_on(
        self, run: Run, node: CompiledNode, outcome: StepOutcome
    ) -> RunOutcome | Pause | None:
        if isinstance(outcome, Sleep) and not run.is_due(outcome.due_ms):
            return Pause(outcome.due_ms)
        try:
            self._move(run, node, _WOKEN if isinstance(outcome, Sleep) else outcome)
        except NodeError as error:
            run.mark_failed(run.marks[-1][0], node, error.reason)
            return self._divert(run, node, error)
        return None

    def _move(self, run: Run, node: CompiledNode, outcome: StepOutcome) -> None:
        if isinstance(outcome, CallFlow):
            self._call(run, node, outcome)
            return
        advance = cast("Advance", outcome)
        if advance.binds:
            run.bind(node, advance.value)
        run.frame.target = node.next if advance.goto is None else advance.goto

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

    def _divert(self, run: Run, node: CompiledNode, error: NodeError) -> RunOutcome | Pause | None:
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


def _pause_before_retry(run: Run, node: CompiledNode, error: NodeError) -> Pause | None:
    """Give the pause before the next try: the node's own, or the flow's if nothing else helps."""
    if not isinstance(error, TransientError):
        return None
    step = step_key(run.context)
    if node.retry is not None:
        pause = _pause_of(run, step, pause_ms(node.retry, run.retries(step), error, run.name(step)))
        if pause is not None:
            return pause
    if any(frame_node.on_error is not None for frame_node in _handlers(run, node)):
        return None
    own = pause_ms(run.flow.retry, run.retries(FLOW), error, run.name(FLOW))
    return _pause_of(run, FLOW, own)


def _pause_of(run: Run, retried: str, milliseconds: int | None) -> Pause | None:
    if milliseconds is None:
        return None
    due_ms = run.context.world.clock.now_ms() + milliseconds
    return Pause(due_ms, "retry", retried=retried)


def _handlers(run: Run, node: CompiledNode) -> list[CompiledNode]:
    """List the nodes whose `on_error` may take the failure: the step's, and those that called."""
    return [node, *(frame.caller for frame in run.frames if frame.caller is not None)]


_WOKEN: Final = Advance(binds=False)

_NOT_HANDLED: Final = frozenset({STEPS_EXCEEDED})
"""Failures that `on_error` must not catch: it would only go on with the endless loop."""

_ENDS: Final = END_TARGETS | {None, RESPOND}


def _overdue(run: Run, node: CompiledNode) -> Failed | Interrupted:
    """End a run whose time is over: no `on_error` could do anything with no time left."""
    if not run.request.is_ours(run.context.world.clock):
        return Interrupted("its time is over, and another worker may have it", is_lost=True)
    seconds = run.flow.timeout_seconds
    message = f"the flow's timeout of {seconds:g} s is over"
    return Failed(RunError("timeout", step_id(run.frame.path, node.id), message), is_overdue=True)


def entry_target(flow: CompiledFlow) -> str | None:
    """Where a sub-flow begins: at its first trigger's target, else at its first node."""
    if flow.triggers:
        return flow.triggers[0].target
    return next(iter(flow.nodes), None)
