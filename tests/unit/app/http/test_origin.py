"""Public URLs. In: requests behind proxies and not. Out: the URL that the sender used."""

from ipaddress import ip_network
from typing import Any

import pytest

from app.http.origin import PublicUrls

PROXY = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
FORWARDED = {"host": "pod:8080", "x-forwarded-proto": "https", "x-forwarded-host": "api.example"}


def scope(client: Any = ("10.1.2.3", 5), query: bytes = b"a=%20&b") -> dict[str, Any]:
    return {
        "scheme": "http",
        "raw_path": b"/events/x/demo%41",
        "query_string": query,
        "client": client,
    }


@pytest.mark.parametrize(
    ("urls", "client", "origin"),
    [
        (PublicUrls(), ("10.1.2.3", 5), "http://pod:8080"),
        (PublicUrls(lambda _: "https://e.io/in", PROXY), ("10.1.2.3", 5), "https://e.io/in"),
        (PublicUrls(trusted_proxies=PROXY), ("10.1.2.3", 5), "https://api.example"),
        (PublicUrls(trusted_proxies=PROXY), ("fd00::1", 5), "https://api.example"),
        (PublicUrls(trusted_proxies=PROXY), ("11.1.2.3", 5), "http://pod:8080"),
        (PublicUrls(trusted_proxies=PROXY), None, "http://pod:8080"),
        (PublicUrls(trusted_proxies=PROXY), ("a-socket", 0), "http://pod:8080"),
    ],
)
def test_url_is_the_one_of_the_sender(urls: PublicUrls, client: Any, origin: str) -> None:
    assert urls.url_of("demo", scope(client), FORWARDED) == f"{origin}/events/x/demo%41?a=%20&b"


def test_the_last_proxys_word_counts() -> None:
    headers = {
        "host": "pod",
        "x-forwarded-host": "evil, api.example",
        "x-forwarded-proto": "ftp, https",
    }
    urls = PublicUrls(trusted_proxies=PROXY)
    assert urls.url_of("demo", scope(query=b""), headers) == "https://api.example/events/x/demo%41"
