"""What differs between two bundles of a tenant, by names alone.

In: two bundles as they were read, or nothing on one side. Out: flows, triggers, files and options
that were added, removed or changed. Refuses nothing. No value is told: an option's may be secret.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.tenants.deployment import trigger_key
from app.bundle.answers_file import read_answers_file
from app.bundle.files import MemoryFiles
from app.bundle.reading import TenantBundle
from app.bundle.tenant_answers import lay_over, tenant_folder

NAMES_MAX: Final = 1000
"""Of each kind; what is beyond is only counted."""


@dataclass(frozen=True, slots=True)
class Names:
    """What came, what went, what is there and different; sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing differs."""
        return not (self.added or self.removed or self.changed)

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        every = {"added": self.added, "removed": self.removed, "changed": self.changed}
        document: dict[str, Any] = {kind: list(names[:NAMES_MAX]) for kind, names in every.items()}
        beyond = sum(max(0, len(names) - NAMES_MAX) for names in every.values())
        return {**document, "not_shown": beyond} if beyond else document


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs."""

    flows: Names = Names()
    triggers: Names = Names()
    files: Names = Names()
    options: Names = Names()
    """Options of providers, like ``events-webhook.secret_key``."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing differs."""
        return all(getattr(self, kind).is_empty for kind in self.__dataclass_fields__)

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {kind: getattr(self, kind).as_mapping() for kind in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Side:
    """One bundle as it is compared: names, and what stands for their content."""

    flows: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, files: MemoryFiles, tenant: str, found: TenantBundle | None) -> "Side":
        """Take what is compared of a bundle; ``found`` None: the tenant's flows cannot be read."""
        flows = {} if found is None else found.flows
        base, _ = read_answers_file(files.afresh())
        over, _ = read_answers_file(files.afresh(), tenant_folder(tenant))
        return cls(
            flows={name: flow.digest for name, flow in flows.items()},
            triggers={
                trigger_key(flow, trigger): f"{trigger.type} {trigger.pattern} {trigger.schedule}"
                for flow in flows.values()
                for trigger in flow.triggers
            },
            files={
                name: hashlib.sha256(content).hexdigest()
                for name, content in files.contents.items()
            },
            options=_options(lay_over(base, over).data),
        )


NOTHING: Final = Side()


def differences(before: Side, after: Side) -> Difference:
    """Compare two bundles."""
    return Difference(
        flows=_compare(before.flows, after.flows),
        triggers=_compare(before.triggers, after.triggers),
        files=_compare(before.files, after.files),
        options=_compare(before.options, after.options),
    )


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> Names:
    return Names(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(
            sorted(name for name in after if before.get(name, after[name]) != after[name])
        ),
    )


def _options(answers: Any) -> dict[str, str]:
    """Give each provider's options by name, as text to be compared and never shown."""
    providers = answers if isinstance(answers, Mapping) else {}
    return {
        f"{provider}.{option}": json.dumps(value, sort_keys=True, default=str)
        for provider, options in providers.items()
        if isinstance(options, Mapping)
        for option, value in options.items()
    }
