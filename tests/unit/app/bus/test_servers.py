"""Which server is tried next, and when one that has no JetStream for us is left."""

import random
import socket
from urllib.parse import urlparse

import pytest
from nats.aio.client import Server

from app.bus.servers import (
    DOUBT_SECONDS,
    DOUBT_SECONDS_MAX,
    UNACKED_SECONDS_MAX,
    Doubt,
    ServerChoice,
    bound_silence,
    login_of,
    split_urls,
)


def a_server(name: str, reconnects: int = 0) -> Server:
    return Server(uri=urlparse(f"nats://{name}:4222"), reconnects=reconnects)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.departures = 0
        self.doubt = Doubt(lambda: self.now, self.leave)

    def leave(self) -> None:
        self.departures += 1

    def be_silent(self, seconds: float) -> None:
        """Hear nothing, asking twice a second."""
        for _ in range(int(seconds * 2)):
            self.doubt.unheard()
            self.now += 0.5


def test_url_names_several_servers() -> None:
    assert split_urls("nats://a:1, nats://b:2,,") == ["nats://a:1", "nats://b:2"]
    assert split_urls("nats://a:1") == ["nats://a:1"]


def test_login_stands_in_any_of_the_urls() -> None:
    assert login_of("nats://a:1,nats://me:secret@b:2") == ("me", "secret")
    assert login_of("nats://a:1") == (None, None)


def test_servers_are_taken_in_turn_with_pauses_that_grow() -> None:
    choice = ServerChoice(random.Random(1))  # noqa: S311
    server, pause = choice.choose([a_server("a", 2), a_server("b", 1)])
    assert server.uri.hostname == "b"
    assert 0.05 <= pause <= 0.15
    _, pause = choice.choose([a_server("a", 99)])
    assert 1 <= pause <= 3


def test_server_that_was_left_is_the_last_choice_but_remains_one() -> None:
    choice = ServerChoice(random.Random(1))  # noqa: S311
    choice.leave("a:4222")
    first, _ = choice.choose([a_server("a"), a_server("b")])
    assert first.uri.hostname == "b"
    second, _ = choice.choose([a_server("a"), a_server("b", 2)])
    assert second.uri.hostname == "a", "the others have failed more often"


def test_election_is_waited_for_and_longer_silence_is_not() -> None:
    clock = Clock()
    clock.be_silent(DOUBT_SECONDS)
    assert clock.departures == 0
    clock.doubt.unheard()
    assert clock.departures == 1


def test_any_answer_ends_the_doubt() -> None:
    clock = Clock()
    for _ in range(5):
        clock.be_silent(DOUBT_SECONDS - 1)
        clock.doubt.heard()
    assert clock.departures == 0


def test_another_connection_is_given_its_own_time() -> None:
    clock = Clock()
    clock.be_silent(DOUBT_SECONDS - 1)
    clock.doubt.drop()
    clock.be_silent(DOUBT_SECONDS - 1)
    assert clock.departures == 0


def test_departure_that_helped_leaves_no_patience_behind() -> None:
    clock = Clock()
    for departures in range(1, 4):
        clock.be_silent(DOUBT_SECONDS + 0.5)
        assert clock.departures == departures
        clock.doubt.drop()
        assert clock.doubt.is_raised, "who hears the next answer must say so"
        clock.doubt.heard()


def test_departures_that_do_not_help_become_rare() -> None:
    clock = Clock()
    clock.be_silent(600)
    assert 9 <= clock.departures <= 12, "8, 16, 32, then every 60 s"
    assert DOUBT_SECONDS_MAX == 60
    clock.doubt.heard()
    before = clock.departures
    clock.be_silent(DOUBT_SECONDS + 1)
    assert clock.departures == before + 1, "an answer restores the short patience"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
def test_kernel_gives_up_a_connection_that_acknowledges_nothing() -> None:
    with socket.socket() as connection:
        bound_silence(connection)
        value = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert value == UNACKED_SECONDS_MAX * 1000
    bound_silence(None)
