"""Reload: follow the bundle's files, and SIGHUP.

In: changes on disk, signals. Out: calls of one `reload`, never two at once, after the writer has
come to rest. The data folder is not watched: it changes all the time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

QUIET_MS: Final = 300
"""An editor writes a file in several steps; changes this close together are one."""

FIRST_LOOK_SECONDS: Final = 2.0
"""How long after the watch began the files are compared once with what was read before it."""

SUFFIXES: Final = (".ygtc", ".yaml", ".yml", ".json", ".toml", ".rhai", ".hbs", ".gmap", ".gtpack")


class Reloader:
    """Calls ``reload`` whenever the bundle may have changed."""

    def __init__(self, root: Path, data_dir: Path, reload: Callable[[], Awaitable[None]]) -> None:
        self._root = root.resolve()
        self._data_dir = data_dir.resolve()
        self._reload = reload
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Ask for a reload (SIGHUP)."""
        self._wanted.set()

    async def run(self, *, watches_files: bool) -> None:
        """Reload on request, and on changes of files, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_requests())
            if watches_files:
                group.create_task(self._follow_files())
                group.create_task(self._look_once())

    async def _follow_requests(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._reload()

    async def _follow_files(self) -> None:
        async for _ in awatch(self._root, watch_filter=self._concerns, debounce=QUIET_MS):
            self._wanted.set()

    async def _look_once(self) -> None:
        """Find what changed before the watch was there."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        self._wanted.set()

    def _concerns(self, _: Change, path: str) -> bool:
        return path.endswith(SUFFIXES) and not Path(path).is_relative_to(self._data_dir)
