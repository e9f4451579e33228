"""URLs of calls. In: URLs as flows write them. Out: hosts and ports, or refusals."""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import PermanentError
from app.outbound.policy import EgressPolicy, PrivateGrants
from app.outbound.targets import read_target

VECTORS = Path(__file__).parents[5] / "shared" / "vectors" / "ssrf_addresses.json"
NAMES_OF_LOOPBACK = (".nip.io", ".sslip.io")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.com", "example.com", 80),
        ("https://EXAMPLE.com./a?b=c#d", "example.com", 443),
        ("https://bücher.example/", "xn--bcher-kva.example", 443),
        ("http://a_b.example:8080/", "a_b.example", 8080),
        ("http://8.8.8.8/", "8.8.8.8", 80),
        ("https://[2606:4700::1]:8443/", "2606:4700::1", 8443),
        ("http://example.com?@10.0.0.1/", "example.com", 80),
        ("http://localhost/", "localhost", 80),
    ],
)
def test_a_host_is_read(url: str, host: str, port: int) -> None:
    target = read_target(url)
    assert (target.host, target.port) == (host, port)
    assert target.url.raw_host.decode() == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "http://",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://user:word@example.com/",
        "http://example.com@127.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.5/",
        "http://a.0x7f/",
        "http://①②⑦.⓪.⓪.①/",
        "http://exa%6dple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://exam ple.com/",
        "http://example.com/\r\nHost: x",
        "http://a..b/",
        "http://-a.b/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_what_parsers_read_differently_is_refused(url: str) -> None:
    with pytest.raises(PermanentError) as caught:
        read_target(url)
    assert caught.value.reason == "http.refused"
    assert "word" not in str(caught.value)


def test_forms_to_refuse() -> None:
    """By the URL, by the name, or by the address behind it."""
    if not VECTORS.exists():
        pytest.skip("the shared vectors are not beside this checkout")
    policy = EgressPolicy()
    for url in json.loads(VECTORS.read_text())["url_forms_to_refuse"]["urls"]:
        try:
            target = read_target(url)
        except PermanentError:
            continue
        if policy.refuse_host("demo", target.host) is not None:
            continue
        if target.host.endswith(NAMES_OF_LOOPBACK):
            continue  # the address decides: see the guard's own tests
        assert policy.refuse_address(ip_address(target.host), target.port) is not None, url


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://a.example/{text}"):
        try:
            target = read_target(url)
        except PermanentError:
            continue
        assert target.url.scheme in ("http", "https")
        assert target.host == target.url.raw_host.decode()


def test_grants_open_what_they_name_and_own_ports_stay_closed() -> None:
    loopback, inside = ip_address("127.0.0.1"), ip_address("10.1.2.3")
    grants = PrivateGrants(
        (ip_network("10.1.0.0/16"), ip_network("127.0.0.0/8")), frozenset({(loopback, 4222)})
    )
    policy = EgressPolicy(grants, own_ports=frozenset({4222, 8081}))
    assert policy.refuse_address(inside, 80) is None
    assert policy.refuse_address(ip_address("10.2.0.1"), 80) == "private"
    assert policy.refuse_address(loopback, 80) is None
    assert (
        policy.refuse_address(ip_address("::ffff:127.0.0.1"), 8081) == "it is one of our own ports"
    )
    assert policy.refuse_address(loopback, 4222) is None  # named on purpose: an emulator
    assert EgressPolicy().refuse_address(inside, 80) == "private"


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [("api.example.com", True), ("example.com", False), ("x.other.org", False), ("one.org", True)],
)
def test_a_tenant_with_a_list_calls_no_other_host(host: str, is_allowed: bool) -> None:
    policy = EgressPolicy(allowed_hosts={"a": ["*.Example.com", "one.org"]})
    assert (policy.refuse_host("a", host) is None) is is_allowed
    assert policy.refuse_host("b", host) is None


def test_names_of_the_inside_are_refused_unless_private_addresses_are_granted() -> None:
    granted = EgressPolicy(PrivateGrants((ip_network("10.0.0.0/8"),)))
    for host in ("localhost", "x.localhost", "metadata.google.internal", "kubernetes.default.svc"):
        assert EgressPolicy().refuse_host("demo", host) is not None
        assert granted.refuse_host("demo", host) is None
