"""Who owns an app's tables: one worker at a time, for a term, on a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from yarl import URL

from app.bus.server_folder import Endpoint
from app.history.transport.connection import Connection, Login
from app.history.transport.lease import Lease
from app.history.transport.streams import Streams


@contextlib.asynccontextmanager
async def leases(endpoint: Endpoint, app_id: str, count: int) -> AsyncIterator[list[Lease]]:
    login = Login(endpoint.user, endpoint.password)
    connections = [Connection([URL(endpoint.url)], login, "t") for _ in range(count)]
    try:
        for connection in connections:
            await connection.open()
        yield [Lease(connection, Streams(connection), app_id, 2) for connection in connections]
    finally:
        for connection in connections:
            await connection.close()


async def test_one_holds_it_and_another_takes_it_when_it_ends(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with leases(nats_server, fresh_env, 2) as (first, second):
        assert await first.renew()
        assert first.is_in_term(1)
        assert not await second.renew()
        assert await first.renew()
        assert first.term == 1, "a renewal is the same term"
        await asyncio.sleep(1.6)
        assert not first.is_held, "it counts less than the lease, by its own clock"
        await asyncio.sleep(0.9)
        assert await second.renew()
        assert not await first.renew()
        assert not await first.renew()
        await second.release()
        assert not second.is_held
        assert await first.renew()
        assert (first.term, first.is_in_term(1), first.is_in_term(2)) == (2, False, True)


async def test_a_renewal_whose_answer_was_lost_is_found(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with leases(nats_server, fresh_env, 1) as (lease,):
        assert await lease.renew()
        await lease._put(lease._sequence)  # stored, and we do not know
        assert await lease.renew()
        assert lease.term == 1


async def test_who_comes_too_late_begins_a_new_term_even_if_nobody_wanted_it(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with leases(nats_server, fresh_env, 1) as (lease,):
        assert await lease.renew()
        await asyncio.sleep(1.6)
        assert not await lease.renew()
        assert await lease.renew()
        assert lease.term == 2
