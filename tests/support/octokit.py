"""Every example payload of the npm package `@octokit/webhooks-examples`, posted as GitHub posts.

The package is installed once into pytest's cache, by `npm`; where that cannot be, the test skips.
GitHub signs the bytes that it sends: `X-Hub-Signature-256`, computed here without our own code.
"""

import fcntl
import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

PACKAGE: Final = "@octokit/webhooks-examples"
VERSION: Final = "7.6.1"
INSTALL_SECONDS: Final = 120
SECRET: Final = "It's a Secret to Everybody"
BEYOND_DOUBLE: Final = 2**53
"""Integers from here on are not all different as JavaScript reads them."""


@dataclass(frozen=True, slots=True)
class GithubDelivery:
    """One example as it comes over the wire."""

    event: str
    """GitHub's name of the event, `pull_request`."""
    delivery_id: str
    document: Any
    body: bytes
    headers: dict[str, str]

    @property
    def event_type(self) -> str:
        """Give the event type whose URL GitHub is told to post to."""
        return f"github.{self.event}"


def load_deliveries(
    config: pytest.Config, factory: pytest.TempPathFactory, *, is_form: bool = False
) -> list[GithubDelivery]:
    """Give all examples in a fixed order, and behind each the same with huge integers."""
    found = []
    for place, event, document in _examples(_install(config, factory)):
        for variant, each in (("", document), ("-big", enlarge(document))):
            found.append(_post(event, f"{place}{variant}", each, is_form=is_form))
    return found


def enlarge(value: Any) -> Any:
    """Put every integer of a document beyond what a double keeps exactly."""
    match value:
        case bool():
            return value
        case int():
            return BEYOND_DOUBLE + 1 + 2 * abs(value)
        case dict():
            return {key: enlarge(item) for key, item in value.items()}
        case list():
            return [enlarge(item) for item in value]
        case _:
            return value


def _post(event: str, delivery_id: str, document: Any, *, is_form: bool) -> GithubDelivery:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = urlencode({"payload": text}).encode() if is_form else text.encode()
    media = "application/x-www-form-urlencoded" if is_form else "application/json"
    headers = {
        "content-type": media,
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-event": event,
        "x-github-delivery": delivery_id,
        "x-hub-signature-256": "sha256="
        + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
    }
    return GithubDelivery(event, delivery_id, document, body, headers)


def _examples(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Give place, event and document of each example, github.com's and Enterprise's."""
    for index in sorted((folder / "node_modules" / PACKAGE).glob("*/index.json")):
        for entry in json.loads(index.read_text(encoding="utf-8")):
            for number, document in enumerate(entry["examples"]):
                yield f"{index.parent.name}-{entry['name']}-{number}", entry["name"], document


def _install(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    cache = getattr(config, "cache", None)
    name = f"octokit-{VERSION}"
    folder = factory.mktemp(name) if cache is None else Path(cache.mkdir(name))
    try:
        _install_into(npm, folder)
    except (subprocess.SubprocessError, OSError) as fault:
        pytest.skip(f"npm cannot install {PACKAGE} {VERSION}: {type(fault).__name__}")
    return folder


def _install_into(npm: str, folder: Path) -> None:
    """Install the package unless it is there whole; one of several test processes does it."""
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-save"]
        subprocess.run(
            [npm, "install", "--prefix", str(folder), *options, f"{PACKAGE}@{VERSION}"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=INSTALL_SECONDS,
        )
        done.touch()
