"""Run records onto the bus: the adapter behind `RunRecords`.

In: records of any tenants. Out: nothing, once the RUNS stream has them, as messages that carry a
JSON array of up to `RECORDS_MAX` records of one flow. Refuses nothing: what makes a record larger
than SPEC 13 allows is cut and marked.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError
from actors.ports import RunRecord, RunUsage
from actors.subjects import run_record_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import encode_json
from app.bus.headers import JSON_CONTENT, MESSAGE_ID
from app.bus.record_steps import encode_steps, encode_value
from app.bus.storing import wait_all
from app.bus.wire import build_headers

RECORDS_MAX: Final = 100
RECORD_BYTES_MAX: Final = 64 * 1024
"""SPEC 13: a run record."""
MESSAGE_BYTES_MAX: Final = 768 * 1024
PREVIEW_CHARS_MAX: Final = 4096
PATH_STEPS_KEPT: Final = 100
STEP_CHARS_KEPT: Final = 48
STEPS_KEPT_CUT: Final = 20
BATCH_KEPT: Final = 100
TEXT_CHARS_KEPT: Final = 250
"""JSON writes a control character in six: even of those, all that is kept fits a record."""


class JetStreamRunRecords:
    """Writes the records of one env, of any tenant."""

    def __init__(self, publisher: AckedPublisher, *, env: str) -> None:
        self._publisher = publisher
        self._env = env

    async def write_all(self, records: Sequence[RunRecord]) -> None:
        """Return once all are stored. A record may be stored twice after a crash."""
        flows: dict[str, list[RunRecord]] = {}
        for record in records:
            subject = run_record_subject(self._env, record.tenant, record.result.flow)
            flows.setdefault(subject, []).append(record)
        await wait_all(
            [
                await self._publisher.publish_when_room(
                    subject,
                    data,
                    build_headers(((MESSAGE_ID, f"{subject}:{message_id}"), JSON_CONTENT)),
                )
                for subject, mine in flows.items()
                for message_id, data in build_messages(mine)
            ]
        )


def build_messages(records: Iterable[RunRecord]) -> Iterable[tuple[str, bytes]]:
    """Give (message id, JSON array) pairs; the same records make the same messages."""
    batch: list[tuple[str, bytes]] = []
    batch_bytes = 2
    for record in records:
        data = encode_record(record)
        is_full = len(batch) == RECORDS_MAX or batch_bytes + len(data) + 1 > MESSAGE_BYTES_MAX
        if batch and is_full:
            yield _message(batch)
            batch, batch_bytes = [], 2
        batch.append((record.result.run_id, data))
        batch_bytes += len(data) + 1
    if batch:
        yield _message(batch)


def record_document(record: RunRecord) -> dict[str, Any]:
    """Give a record's document: the result's fields, and where the run came from."""
    return {
        "tenant": record.tenant,
        "event_type": record.event_type,
        "trigger": record.trigger,
        "parent_run_id": record.parent_run_id,
        "path": list(record.path),
        "correlation_id": record.correlation_id,
        "usage": usage_document(record.usage),
        "steps": msgspec.Raw(encode_steps(record.steps)),
        **record.result.as_mapping(),
    }


def usage_document(usage: RunUsage) -> dict[str, int]:
    """Give what a run used, the bytes of its events' payloads counted."""
    return {
        "events": usage.events,
        "operations": usage.operations,
        "effects": usage.effects,
        "bytes": sum([len(encode_value(payload) or b"") for payload in usage.payloads]),
    }


def encode_record(record: RunRecord) -> bytes:
    """Write one record in at most `RECORD_BYTES_MAX` bytes, cut and marked if it must be.

    What its steps had and gave goes first, then the output, then the rest.
    """
    document = record_document(record)
    nulls = sum(value is None for value in document.values())
    nulls += bytes(document["steps"]).count(b"null")
    try:
        data = encode_json(document, "record", nulls=nulls)
    except InvalidEventError as error:
        document["output"] = {"truncated": True, "reason": str(error)[:TEXT_CHARS_KEPT]}
        data = encode_json(document, "record")
    if len(data) <= RECORD_BYTES_MAX:
        return data
    for cut in (_without_values, _with_short_output, _with_short_texts, _without_steps):
        document = cut(document, record)
        data = encode_json(document, "record")
        if len(data) <= RECORD_BYTES_MAX:
            break
    return data


def _without_values(document: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    steps = encode_steps(record.steps, with_values=False)
    return {**document, "steps": msgspec.Raw(steps), "steps_truncated": True}


def _with_short_output(document: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    """Cut the output, which makes room for what the steps had and gave."""
    whole = encode_json(document["output"], "output")
    preview = whole[:PREVIEW_CHARS_MAX].decode(errors="replace")
    output = {"truncated": True, "bytes": len(whole), "preview": preview}
    cut = {**document, "output": output, "steps": msgspec.Raw(encode_steps(record.steps))}
    del cut["steps_truncated"]
    return cut


def _with_short_texts(document: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    """Cut every text, the path and the steps."""
    cut = {name: _cut_text(value) for name, value in document.items()}
    cut["path"] = [step[:STEP_CHARS_KEPT] for step in document["path"][:PATH_STEPS_KEPT]]
    cut["path_truncated"] = len(document["path"]) > PATH_STEPS_KEPT
    steps = [
        step._replace(step=step.step[:STEP_CHARS_KEPT], node=step.node[:STEP_CHARS_KEPT])
        for step in record.steps[-STEPS_KEPT_CUT:]
    ]
    cut["steps"] = msgspec.Raw(encode_steps(steps, with_values=False))
    cut["steps_truncated"] = True
    if "batch" in cut:
        cut["batch"] = document["batch"][:BATCH_KEPT]
        cut["batch_truncated"] = len(document["batch"]) > BATCH_KEPT
    error = document["error"]
    if error is not None:
        cut["error"] = {name: _cut_text(value) for name, value in error.items()}
    return cut


def _without_steps(document: dict[str, Any], record: RunRecord) -> dict[str, Any]:  # noqa: ARG001
    """Leave the steps out, so that the rest is certain to fit."""
    return {**document, "steps": [], "steps_truncated": True}


def _cut_text(value: Any) -> Any:
    return value[:TEXT_CHARS_KEPT] if isinstance(value, str) else value


def _message(batch: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    digest = hashlib.blake2b("\0".join(run_id for run_id, _ in batch).encode(), digest_size=15)
    return f"records:{digest.hexdigest()}", b"[%b]" % b",".join(data for _, data in batch)
