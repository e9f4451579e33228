"""Plans in force: which tenant may use what, brought to where it is counted.

In: the operator's plans and a bundle's tenants. Out: quotas and weights of this process. Refuses
with BundleError a tenant whose plan nobody has defined: a wrong name must not mean no limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actors.quotas.plan import DEFAULT_PLAN, UNLIMITED, PlanLimits
from actors.quotas.quota import Quotas
from actors.runs.shares import FairShares
from app.bundle.problems import Problem, bundle_error
from app.bundle.reading import MANIFEST_NAMES, Bundle

_NAMES_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class PlanBook:
    """The plans of one process."""

    plans: Mapping[str, PlanLimits]
    quotas: Quotas
    shares: FairShares

    def check(self, bundle: Bundle) -> None:
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

    def adopt(self, bundle: Bundle) -> None:
        """Bring the plans of a bundle's tenants into force."""
        self.quotas.keep_only(bundle.tenants)
        self.shares.keep_only(bundle.tenants)
        for tenant in bundle.tenants.values():
            plan = self._find(tenant.plan) or UNLIMITED
            self.quotas.of(tenant.id).adopt(plan)
            self.shares.of(tenant.id).weight = plan.weight

    def _find(self, name: str) -> PlanLimits | None:
        return self.plans.get(name) or (UNLIMITED if name == DEFAULT_PLAN else None)

    def _refusal(self, name: str) -> str:
        known = sorted({DEFAULT_PLAN, *self.plans})[:_NAMES_SHOWN]
        return f"there is no plan {name!r} in greentic.toml; there are {', '.join(known)}"
