"""Plans in force: which tenant may use what, brought to where it is counted.

In: the operator's plans, tenants with the names of theirs. Out: quotas and weights of this process.
Refuses (BundleError, SettingsError) a plan that nobody has defined: a wrong name must not mean no
limits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.quotas.plan import DEFAULT_PLAN, UNLIMITED, PlanLimits
from actors.quotas.quota import Quotas
from actors.quotas.share import WHOLE, Share
from actors.runs.shares import FairShares
from app.bundle.problems import Problem, bundle_error
from app.bundle.reading import MANIFEST_NAMES, Bundle
from app.errors import SettingsError

_NAMES_SHOWN: Final = 10


def _whole(_: str) -> Share:
    return WHOLE


@dataclass(slots=True)
class PlanBook:
    """The plans of one process."""

    plans: Mapping[str, PlanLimits]
    quotas: Quotas
    shares: FairShares
    _names: dict[str, str] = field(default_factory=dict, init=False)
    """Of the plans in force, by tenant."""
    _share_of: Callable[[str], Share] = field(default=_whole, init=False)

    def check_bundle(self, bundle: Bundle) -> None:
        """Refuse a bundle that names a plan which is none. BundleError."""
        unknown = [
            Problem(
                "error",
                "bundle.unknown_plan",
                f"tenant {tenant.id}: {self._refusal(tenant.plan)}",
                MANIFEST_NAMES[0],
                path=("tenants", tenant.id, "plan"),
            )
            for tenant in bundle.tenants.values()
            if self._find(tenant.plan) is None
        ]
        if unknown:
            raise bundle_error(unknown)

    def check(self, name: str) -> None:
        """Refuse a plan which is none. SettingsError."""
        if self._find(name) is None:
            raise SettingsError([self._refusal(name)])

    def adopt(self, tenant: str, name: str) -> None:
        """Bring a tenant's plan into force."""
        plan = self._find(name) or UNLIMITED
        self._names[tenant] = name
        self.quotas.of(tenant).adopt(plan, self._share_of(tenant))
        self.shares.of(tenant).weight = plan.weight

    def divide_by(self, share_of: Callable[[str], Share]) -> None:
        """Take only this share of each tenant's plan from now on; see `refresh`."""
        self._share_of = share_of

    def refresh(self) -> None:
        """Go over to the shares as they are now."""
        for tenant, name in self._names.items():
            plan = self._find(name) or UNLIMITED
            self.quotas.of(tenant).adopt(plan, self._share_of(tenant))

    def stored_bytes(self, name: str) -> int | None:
        """Give what a tenant with a plan may store; None: what the operator's limits say."""
        plan = self._find(name)
        return None if plan is None else plan.stored_bytes

    def forget(self, tenant: str) -> None:
        """Forget a tenant that is served no more."""
        self._names.pop(tenant, None)
        self.quotas.forget(tenant)
        self.shares.forget(tenant)

    def _find(self, name: str) -> PlanLimits | None:
        return self.plans.get(name) or (UNLIMITED if name == DEFAULT_PLAN else None)

    def _refusal(self, name: str) -> str:
        known = sorted({DEFAULT_PLAN, *self.plans})[:_NAMES_SHOWN]
        return f"there is no plan {name!r} in greentic.toml; there are {', '.join(known)}"
