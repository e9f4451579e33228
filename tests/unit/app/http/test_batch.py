"""Batches over HTTP. In: NDJSON of which some is stored. Out: a status and each item's outcome."""

from actors.errors import QuotaExceededError, UnavailableError
from actors.ports import NormalizedEvent, PublishAck
from tests.support.ingress import FakeDoor, Ingress

NDJSON = {"content-type": "application/x-ndjson"}
PATH = "/events/batch/demo"
ROUTE = "/events/batch/{tenant}"


class ChoosyDoor(FakeDoor):
    """Refuses by event type."""

    async def accept(
        self, provider: str, normalized: NormalizedEvent, *, event_id: str, reply_to: str | None
    ) -> PublishAck:
        if normalized.event_type == "over.quota":
            raise QuotaExceededError("demo", "too many events", retry_after_seconds=7)
        if normalized.event_type == "no.bus":
            raise UnavailableError("no answer")
        if normalized.event_type == "seen.before":
            return PublishAck("FIRST", 1, is_duplicate=True)
        return await super().accept(provider, normalized, event_id=event_id, reply_to=reply_to)


def an_ingress() -> Ingress:
    ingress = Ingress()
    ingress.door = ingress.doors["demo"] = ChoosyDoor()
    return ingress


def lines(*types: str) -> bytes:
    return b"".join(b'{"event_type":"%s","payload":{"n":1}}\n' % kind.encode() for kind in types)


async def test_all_stored_is_a_202_with_every_id() -> None:
    ingress = an_ingress()
    reply = await ingress.client.post(lines("a.b", "seen.before", "c.d"), path=PATH, headers=NDJSON)
    assert (reply.status, reply.json["accepted"]) == (202, 3)
    assert reply.json["results"] == [
        {"index": 0, "event_id": "E1"},
        {"index": 1, "event_id": "FIRST", "duplicate": True},
        {"index": 2, "event_id": "E3"},
    ]
    assert [event.event_type for event in ingress.door.events] == ["a.b", "c.d"]
    assert ingress.counted(202, ROUTE) == 1


async def test_one_bad_line_does_not_hide_the_others() -> None:
    ingress = an_ingress()
    body = lines("a.b") + b"{nonsense\n" + lines("c.d")
    reply = await ingress.client.post(body, path=PATH, headers=NDJSON)
    assert (reply.status, reply.json["code"], reply.json["accepted"]) == (422, "http.batch", 2)
    results = reply.json["results"]
    assert [result.get("event_id") for result in results] == ["E1", None, "E2"]
    assert results[1]["error"]["status"] == 422
    assert "line 2" in results[1]["error"]["detail"]
    assert [event.event_type for event in ingress.door.events] == ["a.b", "c.d"]


async def test_the_worst_item_names_the_status() -> None:
    reply = await an_ingress().client.post(
        lines("a.b", "over.quota", "BAD"), path=PATH, headers=NDJSON
    )
    assert (reply.status, reply.header("retry-after")) == (429, "7")
    reply = await an_ingress().client.post(
        lines("over.quota", "no.bus", "a.b"), path=PATH, headers=NDJSON
    )
    assert reply.status == 503
    assert reply.header("retry-after") is not None
    assert reply.json["results"][2] == {"index": 2, "event_id": "E3"}


async def test_a_batch_never_waits_for_flows() -> None:
    ingress = an_ingress()
    ingress.door.flows = 3
    reply = await ingress.client.post(lines("a.b"), path=PATH, headers=NDJSON)
    assert reply.status == 202
    assert ingress.inbox.opened == []
