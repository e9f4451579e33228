"""`http_response`: answers the waiting webhook now; the flow goes on.

In: status, headers, body. Out: an answer on the reply subject, if somebody waits there; no value.
Refuses a status outside 200 to 599 and headers that could break out of their line.
"""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, Field

from actors.errors import PermanentError
from actors.nodes.filling import fill, with_state
from actors.nodes.http_headers import check_headers, header_name_problem
from actors.nodes.output import check_output
from actors.nodes.rendering import TAG, Rendering
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.step import StepContext
from actors.outcomes import ANSWER_STATUS_DEFAULT, Advance, Answer

STATUSES: Final = range(200, 600)

_BAD_ANSWER: Final = "http_response.bad_answer"
_SILENT: Final = Advance(binds=False)


class HttpResponseConfig(BaseModel):
    """The answer; every text may be a template."""

    model_config = STRICT

    status: int | str = ANSWER_STATUS_DEFAULT
    """From 200 to 599; a text is a template of one."""
    headers: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Null leaves a header out."""
    body: Any = None
    """Text is sent as it is, anything else as JSON."""


@dataclass(frozen=True, slots=True)
class HttpResponseNode:
    """Renders the answer and sends it; whether anybody listens is not its business."""

    answer: Rendering

    def step(self, context: StepContext) -> Advance:
        """Answer; PermanentError for an answer that HTTP could not carry."""
        parts = fill(self.answer, context)
        answer = Answer(
            status=_checked_status(parts["status"]),
            headers=dict(check_headers(parts["headers"], _BAD_ANSWER)),
            body=check_output(parts["body"], "answer"),
        )
        if context.reply_to is not None and not context.journal.is_replaying:
            context.world.answers.send(context.reply_to, answer)
        return _SILENT


def _checked_status(status: Any) -> int:
    number = int(status) if isinstance(status, str) and status.isdecimal() else status
    if not isinstance(number, int) or isinstance(number, bool) or number not in STATUSES:
        raise PermanentError(f"{status!r} is no status from 200 to 599", reason=_BAD_ANSWER)
    return number


def build_http_response(config: HttpResponseConfig, site: NodeSite) -> NodePlan:
    """Compile the answer and check what is constant in it."""
    status = config.status
    if not (isinstance(status, str) and TAG in status):
        try:
            _checked_status(status)
        except PermanentError as error:
            site.report("flow.bad_value", ("status",), str(error))
    for name in config.headers:
        problem = header_name_problem(name)
        if problem is not None:
            site.report("flow.bad_value", ("headers", name), problem)
    answer = site.rendering({"status": status, "headers": config.headers, "body": config.body})
    return NodePlan(with_state(HttpResponseNode(answer), answer), answers=True)


HTTP_RESPONSE = NodeSpec(
    type="http_response",
    summary="Answers the waiting webhook; the flow goes on.",
    config=HttpResponseConfig,
    build=build_http_response,
)
