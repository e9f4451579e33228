"""What tenants answer themselves: ``tenants/<tenant>/answers.json``, over the bundle's own answers.

In: a bundle's files, its tenants. Out: checked options of each. Refuses answers of tenants that the
manifest does not list: a misspelt one would go on with the options, and the keys, of all.

Laid over means JSON Merge Patch (RFC 7396): maps are merged, everything else replaces what was
there, null takes it away. A reference to a secret is one value and never merged.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actors.diagnostics import did_you_mean
from app.bundle.answers import Answers, Lookups, read_answers
from app.bundle.answers_file import ANSWERS_NAMES, read_answers_file
from app.bundle.document import Document, Path
from app.bundle.files import BundleFiles
from app.bundle.models import ProviderEntry
from app.bundle.problems import Problem, Severity, errors_of
from app.bundle.references import find_references, referenced_name

TENANTS_FOLDER: Final = "tenants"


@dataclass(frozen=True, slots=True)
class BundleAnswers:
    """The options of a bundle and of its tenants."""

    common: Answers
    """Of all tenants that answer nothing themselves."""
    own: Mapping[str, Answers] = field(default_factory=dict)
    """Of the others, whole."""
    answered: frozenset[str] = frozenset()
    """The providers that anybody answers for."""
    secret_names: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    def of(self, tenant: str) -> Answers:
        """Give what holds for one tenant."""
        return self.own.get(tenant, self.common)


def read_bundle_answers(
    files: BundleFiles,
    tenants: Collection[str],
    listed: Mapping[str, ProviderEntry],
    lookups: Lookups,
) -> BundleAnswers:
    """Check the answers that hold for these tenants.

    The bundle's own need not be whole if each tenant adds what they lack.
    """
    base, problems = read_answers_file(files)
    if errors_of(base.problems):
        return BundleAnswers(Answers(), problems=tuple(problems))
    common = read_answers(base, listed, lookups)
    documents: dict[str, Document] = {}
    for tenant in sorted(set(tenants_with_answers(files)) & set(tenants)):
        over, found = read_answers_file(files, tenant_folder(tenant))
        problems += found
        documents[tenant] = lay_over(base, over)
    own = {tenant: read_answers(each, listed, lookups) for tenant, each in documents.items()}
    used = [*own.values(), *([common] if len(own) < len(tenants) or not tenants else [])]
    read = [base, *documents.values()]
    return BundleAnswers(
        common,
        own,
        frozenset(name for each in read if isinstance(each.data, dict) for name in each.data),
        frozenset().union(*(find_references(each.data) for each in read)),
        (*problems, *(problem for answers in used for problem in answers.problems)),
    )


def referenced_names(files: BundleFiles, tenant: str | None = None) -> frozenset[str]:
    """Name the secrets that the answers refer to: all of them, or those that hold for a tenant."""
    base, _ = read_answers_file(files)
    if tenant is None:
        tenants = tenants_with_answers(files)
        every = [base, *(read_answers_file(files, tenant_folder(name))[0] for name in tenants)]
        return frozenset().union(*(find_references(each.data) for each in every))
    over, _ = read_answers_file(files, tenant_folder(tenant))
    return find_references(lay_over(base, over).data)


def unknown_tenant_problems(files: BundleFiles, listed: Collection[str]) -> list[Problem]:
    """Name answers of tenants that there are not, in a bundle that lists its tenants."""
    return [
        Problem(
            "error",
            "bundle.tenant_unknown",
            f"the manifest lists no tenant {tenant!r}: nobody would use these answers",
            tenant_folder(tenant),
            hint=did_you_mean(tenant, listed),
        )
        for tenant in tenants_with_answers(files)
        if listed and tenant not in listed
    ]


def tenant_folder(tenant: str) -> str:
    """Give the folder of what is one tenant's, with a ``/`` at its end."""
    return f"{TENANTS_FOLDER}/{tenant}/"


def tenants_with_answers(files: BundleFiles) -> list[str]:
    """Name the tenants that have answers of their own, listed or not."""
    return [
        tenant
        for tenant in files.list_folders(TENANTS_FOLDER)
        if any(files.has_file(f"{tenant_folder(tenant)}{name}") for name in ANSWERS_NAMES)
    ]


def lay_over(base: Document, over: Document) -> Document:
    """Give the document that both come to; a problem is told where the upper one knows the place.

    Nothing is laid over what is wrong, and nothing wrong over anything: that has been told.
    """
    if over.data is None or not isinstance(base.data, dict | None):
        return base
    data = _merged(base.data or {}, over.data)
    return _LaidOver(over.file, over.text, data, over.places, over.problems, under=base)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LaidOver(Document):
    """One document over another."""

    under: Document

    def raw_of(self, path: Path) -> str | None:
        if path in self.places or path not in self.under.places:
            return Document.raw_of(self, path)
        return self.under.raw_of(path)

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        severity: Severity = "error",
        of: Literal["auto", "key", "value"] = "auto",
    ) -> Problem:
        if _depth_known(self.under, path) > _depth_known(self, path):
            return self.under.problem(path, code, message, hint=hint, severity=severity, of=of)
        return Document.problem(self, path, code, message, hint=hint, severity=severity, of=of)


def _depth_known(document: Document, path: Path) -> int:
    return max((n for n in range(len(path) + 1) if path[:n] in document.places), default=0)


def _merged(under: Any, over: Any) -> Any:
    mergeable = isinstance(under, dict) and isinstance(over, dict)
    if not mergeable or referenced_name(under) is not None or referenced_name(over) is not None:
        return over
    merged = {**under}
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(under.get(key), value)
    return merged
