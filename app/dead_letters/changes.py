"""Changing dead letters, each replay and discard in the audit log first.

In: who acts, and letters as the desk takes them. Out: the desk's reports. Refuses what the desk
refuses, and what the audit log does not take (UnavailableError). A dry run changes nothing, and
stands in no log.
"""

from dataclasses import asdict
from typing import Any, Final

from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.dead_letters.desk import Chosen, DeadLetterDesk, Effort, Progress
from app.dead_letters.letters import LetterFilter, Report

IDS_SHOWN_MAX: Final = 100
"""Letters that an entry names; of more it says how many."""


class LetterChanges:
    """Changes that somebody makes. Cheap: make one for each question."""

    def __init__(self, desk: DeadLetterDesk, audit: AuditLog, who: Who) -> None:
        self.desk = desk
        self._audit = audit
        self._who = who

    async def redrive(
        self, tenant: str, chosen: Chosen, effort: Effort, tell: Progress | None = None
    ) -> Report:
        """See `DeadLetterDesk.redrive`."""
        if effort.is_dry_run:
            return await self.desk.redrive(tenant, chosen, effort, tell)
        async with self._audit.change(self._who, _change("replay", tenant, chosen, effort)):
            return await self.desk.redrive(tenant, chosen, effort, tell)

    async def discard(
        self, tenant: str, chosen: Chosen, effort: Effort, tell: Progress | None = None
    ) -> Report:
        """See `DeadLetterDesk.discard`."""
        if effort.is_dry_run:
            return await self.desk.discard(tenant, chosen, effort, tell)
        async with self._audit.change(self._who, _change("discard", tenant, chosen, effort)):
            return await self.desk.discard(tenant, chosen, effort, tell)


def _change(verb: str, tenant: str, chosen: Chosen, effort: Effort) -> Change:
    after: dict[str, Any] = {"limit": effort.limit}
    if isinstance(chosen, LetterFilter):
        target = "by filter" if not chosen.is_empty else "all"
        after["filter"] = {name: value for name, value in asdict(chosen).items() if value}
    else:
        target = chosen[0] if len(chosen) == 1 else f"{len(chosen)} letters"
        after["ids"] = list(chosen[:IDS_SHOWN_MAX])
    return Change(f"dead_letter.{verb}", tenant, target, after=after)
