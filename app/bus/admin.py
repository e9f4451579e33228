"""JetStream administration: streams and consumers made, changed and removed through its raw API.

In: specifications. Out: what the server says of the result. Refuses with BusError, carrying the
server's own code, what the server refuses; UnavailableError when it does not answer.

Why not the client library's methods: its ``add_consumer`` resets every field it is not given, and
it has no fields for message schedules. Here a change is sent with the full configuration: what the
server has, overlaid with what the specification owns (DESIGN 3, "Changing a consumer").
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import UnavailableError
from app.bus.acked_publisher import TEMPORARY
from app.bus.admin_specs import ConsumerInfo, ConsumerSpec, StreamInfo, StreamSpec
from app.bus.connection import Bus
from app.errors import BusError

API_SECONDS: Final = 10.0
"""For one answer."""
CLUSTER_API_SECONDS: Final = 5.0
CLUSTER_PATIENCE_SECONDS: Final = 30.0
"""A cluster may be electing, once for itself and once for the stream: it is asked again."""
CLUSTER_PAUSE_SECONDS: Final = 0.5
STREAM_NOT_FOUND: Final = 10059
CONSUMER_NOT_FOUND: Final = 10014
NO_MESSAGE: Final = 10037
NO_SUCH_SEQUENCE: Final = frozenset({10043, 10057})
"""It was deleted before; or it never was, and the server's own words are "stream store EOF"."""
ALREADY_EXISTS: Final = frozenset({10058, 10148})
"""Somebody else made it between our look and our attempt, with another configuration."""
ENSURE_ATTEMPTS_MAX: Final = 3
PAGES_MAX: Final = 1000

NO_PEERS: Final = 10005
NO_CLUSTER: Final = 10074

_AWAY: Final = "peer offline"
_UNAVAILABLE: Final = 503


class JetStreamAdmin:
    """The administrator's side of JetStream over one connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ensure_stream(self, spec: StreamSpec, *, is_new: bool = False) -> StreamInfo:
        """Create the stream or change it to what ``spec`` says; nothing is sent if it is so.

        ``is_new``: there was none a moment ago, so nobody need look first.
        """
        wanted = spec.as_config()
        for attempt in range(ENSURE_ATTEMPTS_MAX):
            must_look = attempt > 0 or not is_new
            info = await self.stream_info(spec.name) if must_look else None
            if info is not None and _covers(info.config, wanted):
                return info
            verb = "CREATE" if info is None else "UPDATE"
            config = {**(info.config if info else {}), **wanted}
            try:
                return _stream_info(await self._ask(f"STREAM.{verb}.{spec.name}", config))
            except BusError as error:
                if error.server_code in (NO_PEERS, NO_CLUSTER):
                    raise _too_many_replicas(spec, error) from error
                if error.server_code not in ALREADY_EXISTS:
                    raise
        raise BusError(f"stream {spec.name} is being changed by somebody else")

    async def stream_info(self, name: str) -> StreamInfo | None:
        """Look at a stream; None where there is none of that name."""
        answer = await self._ask_absent(f"STREAM.INFO.{name}", {})
        return None if answer is None else _stream_info(answer)

    async def delete_stream(self, name: str) -> bool:
        """Delete a stream with all it holds; False where there was none."""
        return await self._ask_absent(f"STREAM.DELETE.{name}", {}) is not None

    async def purge(self, stream: str, subject: str) -> int:
        """Delete what is stored on a subject, which may have wildcards, and say how much it was.

        Nothing where there is no such stream.
        """
        answer = await self._ask_absent(f"STREAM.PURGE.{stream}", {"filter": subject})
        return 0 if answer is None else int(answer.get("purged", 0))

    async def purge_before(self, stream: str, sequence: int) -> int:
        """Delete what is stored before a sequence, and say how much; nothing without a stream."""
        answer = await self._ask_absent(f"STREAM.PURGE.{stream}", {"seq": sequence})
        return 0 if answer is None else int(answer.get("purged", 0))

    async def drop_subject(self, stream: str, subject: str) -> bool:
        """Let a stream take this subject no more; False where it never did, or there is none.

        A stream without any would listen to its own name: with the last one it is deleted. Nobody
        else may change the stream meanwhile.
        """
        info = await self.stream_info(stream)
        subjects = list(info.config.get("subjects") or ()) if info else []
        if info is None or subject not in subjects:
            return False
        subjects.remove(subject)
        if not subjects:
            return await self.delete_stream(stream)
        changed = {**info.config, "subjects": subjects}
        await self._ask(f"STREAM.UPDATE.{stream}", changed)
        return True

    async def delete_message(self, stream: str, sequence: int) -> bool:
        """Delete one message for good; False where there is none (any more)."""
        # Without overwriting its bytes: that is 100 times dearer, and the disk is the operator's.
        question = {"seq": sequence, "no_erase": True}
        try:
            await self._ask(f"STREAM.MSG.DELETE.{stream}", question)
        except BusError as error:
            if error.server_code in NO_SUCH_SEQUENCE:
                return False
            raise
        return True

    async def ensure_consumer(self, spec: ConsumerSpec, *, is_new: bool = False) -> ConsumerInfo:
        """Create the consumer or change it to what ``spec`` says, keeping its position.

        ``is_new``: there was none a moment ago, so nobody need look first.
        """
        wanted = spec.as_config()
        for attempt in range(ENSURE_ATTEMPTS_MAX):
            must_look = attempt > 0 or not is_new
            info = await self.consumer_info(spec.stream, spec.durable) if must_look else None
            if info is not None and _covers(_with_filters(info.config), wanted):
                return info
            given = spec.start_config() if info is None else _with_filters(info.config)
            request = {
                "stream_name": spec.stream,
                "action": "create" if info is None else "update",
                "config": _without_absent({**given, **wanted}),
            }
            try:
                subject = f"CONSUMER.CREATE.{spec.stream}.{spec.durable}"
                return _consumer_info(await self._ask(subject, request))
            except BusError as error:
                if error.server_code not in ALREADY_EXISTS:
                    raise
        raise BusError(f"consumer {spec.durable} of {spec.stream} is being changed by others")

    async def consumer_info(self, stream: str, durable: str) -> ConsumerInfo | None:
        """Look at a consumer; None where it or its stream does not exist."""
        answer = await self._ask_absent(f"CONSUMER.INFO.{stream}.{durable}", {})
        return None if answer is None else _consumer_info(answer)

    async def consumer_names(self, stream: str) -> frozenset[str]:
        """List the consumers of a stream; none where the stream does not exist."""
        names: list[str] = []
        for _ in range(PAGES_MAX):
            answer = await self._ask_absent(f"CONSUMER.NAMES.{stream}", {"offset": len(names)})
            page = (answer or {}).get("consumers") or []
            names += page
            if answer is None or not page or len(names) >= answer.get("total", 0):
                break
        return frozenset(names)

    async def has_message(self, stream: str, subject: str) -> bool:
        """Tell whether anything is stored on a subject, which may have wildcards.

        Nothing is where there is no such stream.
        """
        question = {"next_by_subj": subject, "seq": 1}
        try:
            await self._ask(f"STREAM.MSG.GET.{stream}", question)
        except BusError as error:
            if error.server_code in (NO_MESSAGE, STREAM_NOT_FOUND):
                return False
            raise
        return True

    async def count_by_subject(self, stream: str, pattern: str) -> dict[str, int]:
        """Count what a stream holds by subject; nothing where there is no such stream."""
        counts: dict[str, int] = {}
        for _ in range(PAGES_MAX):
            body = {"subjects_filter": pattern, "offset": len(counts)}
            answer = await self._ask_absent(f"STREAM.INFO.{stream}", body)
            page = ((answer or {}).get("state") or {}).get("subjects") or {}
            counts |= page
            if answer is None or not page or len(counts) >= answer.get("total", 0):
                break
        return counts

    async def stream_names(self, subject: str) -> frozenset[str]:
        """List the streams that take messages on subjects covered by ``subject``."""
        names: list[str] = []
        for _ in range(PAGES_MAX):
            answer = await self._ask("STREAM.NAMES", {"subject": subject, "offset": len(names)})
            page = answer.get("streams") or []
            names += page
            if not page or len(names) >= answer.get("total", 0):
                break
        return frozenset(names)

    async def unpin(self, stream: str, durable: str, group: str) -> None:
        """Free a consumer of its pinned client, whoever that is; it need not have one."""
        await self._ask(f"CONSUMER.UNPIN.{stream}.{durable}", {"group": group})

    async def delete_consumer(self, stream: str, durable: str) -> bool:
        """Delete a consumer and its position; False where there was none."""
        return await self._ask_absent(f"CONSUMER.DELETE.{stream}.{durable}", {}) is not None

    async def _ask_absent(self, subject: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return await self._ask(subject, body)
        except BusError as error:
            if error.server_code in (STREAM_NOT_FOUND, CONSUMER_NOT_FOUND):
                return None
            raise

    async def _ask(self, subject: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask; in a cluster until it can answer. All that is asked here may be asked twice."""
        if self._bus.lone_server is not None:
            return await self._ask_once(subject, body, API_SECONDS)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + CLUSTER_PATIENCE_SECONDS
        while True:
            try:
                return await self._ask_once(subject, body, CLUSTER_API_SECONDS)
            except UnavailableError:
                self._bus.doubt.unheard()
                if loop.time() >= give_up_at:
                    raise
                await asyncio.sleep(CLUSTER_PAUSE_SECONDS)

    async def _ask_once(
        self, subject: str, body: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        answer = await self._bus.request(
            f"$JS.API.{subject}",
            json.dumps(body).encode() if body else b"",
            timeout_seconds=seconds,
        )
        document: dict[str, Any] = json.loads(answer.data)
        error = document.get("error")
        if error is None:
            return document
        text = f"{subject}: {error.get('description', 'refused')}"
        if _is_temporary(error):
            raise UnavailableError(text)
        raise BusError(text, server_code=error.get("err_code"))


def _is_temporary(error: Mapping[str, Any]) -> bool:
    """Tell whether the same question may be answered soon."""
    code = error.get("err_code")
    # There are servers enough, but of one nothing was heard lately: it is busy, or just starting.
    is_away = code == NO_PEERS and _AWAY in str(error.get("description", ""))
    return is_away or code in TEMPORARY or error.get("code") == _UNAVAILABLE


def _too_many_replicas(spec: StreamSpec, error: BusError) -> BusError:
    """Say in our own words that the servers do not suffice."""
    text = f"stream {spec.name} cannot be kept on {spec.replicas} servers (nats.replicas):"
    return BusError(f"{text} NATS says {error}", server_code=error.server_code)


def _covers(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether every wanted field is so; the server leaves false and zero fields out."""
    return all((existing.get(name) or None) == (value or None) for name, value in wanted.items())


def _without_absent(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}


def _with_filters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Write a consumer's only filter the way several are written."""
    plain = dict(config)
    only = plain.pop("filter_subject", None)
    if only:
        plain["filter_subjects"] = [only]
    return plain


def _stream_info(answer: Mapping[str, Any]) -> StreamInfo:
    state = answer["state"]
    return StreamInfo(
        name=answer["config"]["name"],
        messages=state["messages"],
        bytes=state["bytes"],
        first_sequence=state["first_seq"],
        last_sequence=state["last_seq"],
        config=answer["config"],
    )


def _consumer_info(answer: Mapping[str, Any]) -> ConsumerInfo:
    return ConsumerInfo(
        stream=answer["stream_name"],
        durable=answer["name"],
        pending=answer["num_pending"],
        ack_pending=answer["num_ack_pending"],
        ack_floor=answer["ack_floor"]["stream_seq"],
        delivered=answer["delivered"]["stream_seq"],
        config=answer["config"],
    )
