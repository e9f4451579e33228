"""Results onto the bus: the adapter behind `Results` (STYLE 3, step 10).

In: finished runs. Out: nothing, once the tenants' streams have stored every result. Refuses nothing
that a run can produce: an output that is no JSON, or too large, becomes a failed result that says
so, because a run without a result would be run again for ever.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from actors.errors import InvalidEventError
from actors.outcomes import RunError, RunResult
from actors.ports import PublishedResult
from actors.subjects import build_result_subject
from app.bus.acked_publisher import AckedPublisher
from app.bus.codec import encode_json
from app.bus.headers import JSON_CONTENT, MESSAGE_ID
from app.bus.storing import wait_all
from app.bus.wire import build_headers

OUTPUT_BYTES_MAX: Final = 512 * 1024
"""SPEC 13: a result's output."""
_ERROR_CHARS_MAX: Final = 2000


class JetStreamResults:
    """Publishes the results of one env, of any tenant."""

    def __init__(self, publisher: AckedPublisher, *, env: str) -> None:
        self._publisher = publisher
        self._env = env

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        """Return once every one of them is stored; UnavailableError if any may not be."""
        await wait_all(
            [
                await self._publisher.publish_when_room(
                    build_result_subject(self._env, published.tenant, published.event_type),
                    encode_result(published.result),
                    build_headers(((MESSAGE_ID, published.result.run_id), JSON_CONTENT)),
                )
                for published in results
            ]
        )


def encode_result(result: RunResult) -> bytes:
    """Write a result's public document, or the failure to write it."""
    try:
        nulls = (result.error is None) + (result.output is None)
        data = encode_json(result.as_mapping(), "output", nulls=nulls)
    except InvalidEventError as error:
        return _encode_failure(result, "invalid_output", str(error))
    if len(data) > OUTPUT_BYTES_MAX:
        return _encode_failure(
            result, "too_large", f"the output is larger than {OUTPUT_BYTES_MAX} bytes"
        )
    return data


def _encode_failure(result: RunResult, code: str, message: str) -> bytes:
    error = RunError(code, None, message[:_ERROR_CHARS_MAX])
    failed = replace(result, status="failed", output=None, error=error)
    return encode_json(failed.as_mapping(), "result")
