"""Whether there is a tenant that something may be made for, also where that was heard late."""

from typing import Any, cast

import pytest

from app.errors import ConflictError, NotFoundError
from app.tenancy.directory import TenantDirectory
from app.tenancy.living import LivingTenants
from app.tenancy.record import TenantRecord
from app.tenancy.store import StoredTenant

LIVING = TenantRecord("acme", "acme", 1, 1)


class Known:
    """A directory, and the store behind it: what each has of the tenant."""

    def __init__(self, heard: TenantRecord | None, stored: TenantRecord | None) -> None:
        self._heard = heard
        self._stored = stored
        self.asked = 0

    def records(self) -> dict[str, TenantRecord]:
        return {} if self._heard is None else {self._heard.id: self._heard}

    async def find(self, tenant: str) -> StoredTenant:
        self.asked += 1
        if self._stored is None:
            raise NotFoundError(f"there is no tenant {tenant!r}")
        return StoredTenant(self._stored, 1)


def living(known: Known) -> LivingTenants:
    return LivingTenants(cast("TenantDirectory", cast("Any", known)), known)


async def test_a_tenant_that_is_known_is_not_asked_for() -> None:
    known = Known(LIVING, None)
    await living(known).check("acme")
    assert known.asked == 0


async def test_a_tenant_that_was_not_heard_of_yet_is_asked_for() -> None:
    for heard in (None, LIVING.deleted(2)):
        known = Known(heard, LIVING)
        await living(known).check("acme")
        assert known.asked == 1


async def test_nothing_is_made_for_a_tenant_that_is_not_or_no_more() -> None:
    with pytest.raises(NotFoundError, match="no tenant 'acme'"):
        await living(Known(None, None)).check("acme")
    for heard in (None, LIVING.deleted(2)):
        with pytest.raises(ConflictError, match="was deleted; nothing can be made for it until"):
            await living(Known(heard, LIVING.deleted(2))).check("acme")
