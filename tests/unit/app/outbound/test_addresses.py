"""The table of addresses. In: addresses. Out: the rule that forbids each, if one does."""

import json
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbound.addresses import find_rule

VECTORS = Path(__file__).parents[5] / "shared" / "vectors" / "ssrf_addresses.json"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("8.8.8.8", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("100.63.255.255", None),
        ("223.255.255.255", None),
        ("2606:4700:4700::1111", None),
        ("2a00:1450:4001::200e", None),
        ("0.0.0.0", "this host"),  # noqa: S104
        ("127.8.8.8", "loopback"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("100.127.255.255", "shared by a provider"),
        ("169.254.169.254", "link-local"),
        ("168.63.129.16", "metadata service"),
        ("192.0.0.192", "protocol assignment"),
        ("192.0.2.7", "documentation"),
        ("198.19.255.255", "benchmarks"),
        ("192.88.99.1", "former 6to4 relay"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "this host"),
        ("::1", "loopback"),
        ("::10.0.0.1", "IPv4 inside IPv6"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:8.8.8.8", None),
        ("::ffff:0:10.0.0.1", "IPv4 inside IPv6"),
        ("64:ff9b::8.8.8.8", "IPv4 inside IPv6"),
        ("64:ff9b:1::1", "IPv4 inside IPv6"),
        ("2002:a00:1::1", "IPv4 inside IPv6"),
        ("2001:0:1::", "protocol assignment"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("ff02::2", "multicast"),
        ("5f00::1", "segment routing"),
        ("2606::5efe:10.0.0.1", "IPv4 inside IPv6"),
        ("2606::200:5efe:10.0.0.1", "IPv4 inside IPv6"),
    ],
)
def test_an_address_has_its_rule(text: str, rule: str | None) -> None:
    assert find_rule(ip_address(text)) == rule


def test_vectors() -> None:
    if not VECTORS.exists():
        pytest.skip("the shared vectors are not beside this checkout")
    document = json.loads(VECTORS.read_text())
    cases = document["classify"] + document["extra_addresses_ours"]
    assert len(cases) > 20
    for case in cases:
        assert (find_rule(ip_address(case["ip"])) is None) == bool(case["allow"]), case


@given(st.integers(0, 2**32 - 1))
def test_what_carries_a_forbidden_address_is_forbidden(number: int) -> None:
    inner = IPv4Address(number)
    for prefix in (0x64_FF9B << 96, 0xFFFF << 48, 0):
        assert find_rule(IPv6Address(prefix | number)) is not None
    assert find_rule(IPv6Address(0x2002 << 112 | number << 80)) is not None
    assert find_rule(IPv6Address(0xFFFF << 32 | number)) == find_rule(inner)


@given(st.integers(0, 2**128 - 1))
def test_every_address_can_be_asked_about(number: int) -> None:
    find_rule(IPv6Address(number))
