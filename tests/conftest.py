"""Marks tests by what they need and keeps the machine's environment out of them."""

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.support.nats_server", "tests.support.postgres"]

SERVER_FIXTURES = frozenset({"nats_server", "killable_server", "postgres_server"})
SCRUBBED_PREFIXES = ("GREENTIC_", "NATS_", "OTEL_")
SCRUBBED_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, and by fixture where a suite runs on a twin and on the real thing."""
    for item in items:
        folders = item.path.parts
        if "e2e" in folders:
            item.add_marker(pytest.mark.e2e)
        if _needs_server(item) or "e2e" in folders or "integration" in folders:
            item.add_marker(pytest.mark.server)


def _needs_server(item: pytest.Item) -> bool:
    names = set(getattr(item, "fixturenames", ()))
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return bool(names & SERVER_FIXTURES) or "nats" in map(str, parameters.values())


@pytest.fixture(scope="session", autouse=True)
def _scrubbed_environment() -> Iterator[None]:
    """Hide the caller's settings: a test means what its text says, on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.startswith(SCRUBBED_PREFIXES) or name.lower() in SCRUBBED_NAMES:
                patch.delenv(name)
        yield
