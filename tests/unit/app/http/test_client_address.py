"""Who sent a request, as far as trusted proxies tell it."""

from ipaddress import ip_network

import pytest

from app.http.client_address import HOPS_MAX, client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "203.0.113.1", "192.0.2.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "203.0.113.1, 10.0.0.2", "203.0.113.1"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "203.0.113.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.9,10.0.0.2", "10.0.0.9"),
        ("2001:db8::1", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "x" * 10_000, "10.0.0.1"),
    ],
)
def test_address_of_a_request(client: str, forwarded: str, expected: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert client_address({"client": (client, 1)}, headers, PROXIES) == expected


def test_without_trusted_proxies_nobody_is_believed() -> None:
    headers = {"x-forwarded-for": "203.0.113.1"}
    assert client_address({"client": ("10.0.0.1", 1)}, headers, ()) == "10.0.0.1"
    assert client_address({"client": None}, headers, PROXIES) == ""


def test_endless_chain_ends() -> None:
    headers = {"x-forwarded-for": ",".join(["203.0.113.1", *["10.0.0.2"] * HOPS_MAX])}
    assert client_address({"client": ("10.0.0.1", 1)}, headers, PROXIES) == "10.0.0.2"
