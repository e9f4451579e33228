"""From settings to policy. In: a section, our URLs. Out: who may be called."""

from ipaddress import ip_address

from app.bootstrap.egress import build_policy, ports_of
from app.settings.security import SecuritySection


def test_grants_and_lists_come_through() -> None:
    section = SecuritySection(
        allow_private=("10.1.0.0/16", "127.0.0.1:8000"), egress_allow={"acme": ("*.example.com",)}
    )
    policy = build_policy(section)
    assert policy.refuse_address(ip_address("10.1.9.9"), 443) is None
    assert policy.refuse_address(ip_address("127.0.0.1"), 8000) is None
    assert policy.refuse_address(ip_address("127.0.0.1"), 8001) == "loopback"
    assert policy.refuse_host("acme", "other.org") is not None
    assert policy.refuse_host("else", "other.org") is None


def test_nothing_is_open_by_default() -> None:
    policy = build_policy(SecuritySection())
    assert policy.refuse_address(ip_address("127.0.0.1"), 8080) == "loopback"
    assert policy.refuse_host("acme", "localhost") is not None


def test_ports_of_our_addresses() -> None:
    urls = ["http://127.0.0.1:8080", "nats://a:4222", "nats://[::1]:4223", "nats://b"]
    assert ports_of(urls) == {8080, 4222, 4223}
