"""A bundle, read whole: its tenants, their flows ready to run, and its providers' options.

In: a folder (SPEC 3) or an archive's files. Out: a frozen `Bundle`. Refuses, with every problem at
once, a bundle whose own files are wrong or that asks for what this version lacks; a flow that is
wrong is left out and named in ``Bundle.problems`` (SPEC 12.6).
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from pydantic import BaseModel

from actors.diagnostics import did_you_mean
from actors.flows.compiled import CompiledFlow
from actors.quotas.plan import DEFAULT_PLAN
from app.bundle.answers import TIMER, WEBHOOK, Lookups
from app.bundle.checks import (
    default_flow_problems,
    provider_problems,
    salvage_manifest,
    tenant_problems,
    unanswered_problems,
    unsupported_files,
)
from app.bundle.collecting import Collected, collect_flows
from app.bundle.document import Document
from app.bundle.files import BundleFiles, open_files
from app.bundle.flow_cache import FlowCache
from app.bundle.models import (
    DEFAULT_TENANT,
    AppEntry,
    Manifest,
    TenantEntry,
    check_section,
)
from app.bundle.problems import Problem, bundle_error, errors_of, sorted_problems
from app.bundle.references import SecretValue, revision_with
from app.bundle.tenant_answers import (
    BundleAnswers,
    read_bundle_answers,
    referenced_names,
    unknown_tenant_problems,
)
from app.bundle.tenant_flows import TenantFlows
from app.bundle.yaml import read_yaml
from app.providers.timer.options import TimerOptions
from app.providers.webhook.options import WebhookOptions

MANIFEST_NAMES: Final = ("greentic.demo.yaml", "greentic.yaml")


@dataclass(frozen=True, slots=True)
class TenantBundle:
    """What one tenant runs."""

    id: str
    name: str | None
    timezone: str
    """For timers that name no zone: the tenant's setting, else the provider's, else UTC."""
    language: str | None
    flows: Mapping[str, CompiledFlow]
    teams: tuple[str, ...] = ()
    plan: str = DEFAULT_PLAN


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that can be started. ``revision`` is a content hash over all that was read."""

    name: str
    version: str
    root: Path | None
    """Its folder; None where it was read from memory."""
    revision: str
    tenants: Mapping[str, TenantBundle]
    options: Mapping[str, BaseModel] = field(repr=False)
    """Checked options by provider, only of those that are on: those of all tenants that answer
    nothing themselves, or of the one that the bundle was read for."""
    tenant_options: Mapping[str, Mapping[str, BaseModel]] = field(default_factory=dict, repr=False)
    """The same by tenant, whole, of those that do."""
    secret_names: frozenset[str] = frozenset()
    """The secrets that its answers refer to."""
    apps: Mapping[str, AppEntry] = field(default_factory=dict, repr=False)
    """What the manifest says of its apps."""
    templates: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The root's template files by their name below ``templates/``."""
    problems: tuple[Problem, ...] = ()
    """Flows that were left out and why, and warnings."""

    def options_of(self, tenant: str) -> Mapping[str, BaseModel]:
        """Give the options that hold for one of its tenants, by provider."""
        if tenant not in self.tenants:
            return {}
        return self.tenant_options.get(tenant, self.options)

    @property
    def webhook(self) -> WebhookOptions | None:
        """The webhook provider's options; None where it is off."""
        options = self.options.get(WEBHOOK)
        return options if isinstance(options, WebhookOptions) else None

    @property
    def timer(self) -> TimerOptions | None:
        """The timer provider's options; None where it is off."""
        options = self.options.get(TIMER)
        return options if isinstance(options, TimerOptions) else None


@dataclass(frozen=True, slots=True)
class Inspection:
    """A bundle as far as it could be read, with everything that is wrong with it."""

    bundle: Bundle | None
    problems: tuple[Problem, ...]
    files: tuple[str, ...] = ()
    """The flow files that were examined."""
    root: Path | None = None
    """The folder that the files are named from."""
    tenants: Mapping[str, TenantBundle] = field(default_factory=dict, repr=False)
    """What compiled, by tenant, even where the bundle as a whole cannot be started."""


class Reading(TypedDict, total=False):
    """How a bundle is to be read; what is not said is None."""

    environment: Mapping[str, str] | None
    """Expands ``$NAME`` in the answers: the command line gives the caller's own, a server gives
    None and then refuses them (SPEC 3)."""
    secrets: Mapping[str, SecretValue] | None
    """Those that the answers refer to (`referenced_secrets`); without it such providers are left
    out."""
    stand_ins: Mapping[str, Mapping[str, Any]] | None
    """Options for what the answers leave out."""
    tenant: str | None
    """The only tenant that the result is to have. It must be one of the manifest's, where that has
    any."""
    entry: TenantEntry | None
    """What is said of that tenant where the manifest has none."""
    flows: FlowCache | None
    """Flows of archives that were compiled before."""


def read_bundle(source: Path | BundleFiles, **how: Unpack[Reading]) -> Bundle:
    """Read a bundle; `Reading` says how. Raises BundleError with all problems."""
    inspection = inspect_bundle(source, **how)
    if inspection.bundle is None:
        raise bundle_error(inspection.problems)
    return inspection.bundle


def referenced_secrets(source: Path | BundleFiles, tenant: str | None = None) -> frozenset[str]:
    """Name the secrets that a bundle's answers refer to: for all tenants, or for one of them.

    None where there is nothing to read.
    """
    if isinstance(source, Path) and not source.is_dir():
        return frozenset()
    return referenced_names(open_files(source), tenant)


def inspect_bundle(source: Path | BundleFiles, **how: Unpack[Reading]) -> Inspection:
    """Read a bundle and report everything, whether or not it can be started."""
    if isinstance(source, Path) and not source.is_dir():
        message = "there is no such folder" if not source.exists() else "a bundle is a folder"
        return Inspection(None, (Problem("error", "bundle.missing", message, str(source)),))
    files = open_files(source)
    manifest_document = _read_manifest(files)
    if manifest_document is None:
        return Inspection(None, (*files.problems, _no_manifest(source)))
    inspection = _Reader(files, manifest_document, how).inspect()
    return replace(inspection, root=files.root)


def find_bundle_root(path: Path) -> Path | None:
    """Give the nearest folder at or above ``path`` that is a bundle."""
    start = path.resolve()
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in MANIFEST_NAMES):
            return folder
    return None


class _Reader:
    """Goes through a bundle once; notes fatal problems apart from those of single flows."""

    def __init__(self, files: BundleFiles, document: Document, how: Reading) -> None:
        self._files = files
        self._document = document
        self._lookups = Lookups(
            how.get("environment"), how.get("secrets"), how.get("stand_ins") or {}
        )
        self._tenant, self._entry = how.get("tenant"), how.get("entry")
        self._cache = how.get("flows") or FlowCache()
        self._problems: list[Problem] = list(document.problems)

    def inspect(self) -> Inspection:
        """Read everything that can be read."""
        manifest, problems = self._manifest()
        self._problems += problems
        # The sound part of a wrong manifest still tells what else is wrong.
        known = manifest or salvage_manifest(self._document.data, problems)
        self._problems += provider_problems(known, self._document)
        self._problems += tenant_problems(known, self._document)
        entries = self._entries(known)
        answers = self._options(known, entries)
        self._problems += unsupported_files(self._files)
        collected = self._cache.collected(
            self._files, lambda: collect_flows(self._files, known, self._document)
        )
        tenants, flow_problems = self._tenants(entries, collected, answers)
        # A shared script with an error refuses the whole: nobody can tell who would have called it.
        self._problems += collected.problems
        self._problems += default_flow_problems(known, collected, self._document)
        self._problems += self._files.problems
        found = sorted_problems([*self._problems, *flow_problems])
        read = tuple(source.file for found in collected.sources.values() for source in found)
        if manifest is None or errors_of(self._problems):
            return Inspection(None, found, read, tenants=tenants)
        bundle = Bundle(
            name=manifest.name,
            version=manifest.version,
            root=self._files.root,
            revision=self._revision(manifest),
            tenants=tenants,
            options=self._common_options(answers),
            tenant_options=self._tenant_options(answers),
            secret_names=answers.secret_names,
            apps=manifest.apps or {},
            templates=collected.root_templates,
            problems=found,
        )
        return Inspection(bundle, found, read, tenants=tenants)

    def _manifest(self) -> tuple[Manifest | None, list[Problem]]:
        document = self._document
        if errors_of(document.problems):
            return None, []
        data = document.data
        raw = document.raw_of(("version",))
        if isinstance(data, dict) and raw and not isinstance(data.get("version"), str):
            data = {**data, "version": raw}  # an unquoted 1.10 is meant as text
        return check_section(document, (), data, Manifest)

    def _options(self, manifest: Manifest, tenants: Collection[str]) -> BundleAnswers:
        answers = read_bundle_answers(self._files, tenants, manifest.providers, self._lookups)
        self._problems += answers.problems
        self._problems += unknown_tenant_problems(self._files, manifest.tenants)
        answered = answers.answered | self._lookups.stand_ins.keys()
        self._problems += unanswered_problems(manifest, answered, self._document)
        return answers

    def _tenants(
        self,
        entries: Mapping[str, TenantEntry],
        collected: Collected,
        answers: BundleAnswers,
    ) -> tuple[dict[str, TenantBundle], list[Problem]]:
        flows = TenantFlows(self._files, collected, self._cache)
        tenants: dict[str, TenantBundle] = {}
        for tenant, entry in entries.items():
            own = answers.of(tenant)
            timer = own.options.get(TIMER)
            zone_default = timer.timezone if isinstance(timer, TimerOptions) else "UTC"
            zone = entry.settings.timezone or zone_default
            on = frozenset(own.options) | own.unchecked
            tenants[tenant] = TenantBundle(
                id=tenant,
                name=entry.name,
                timezone=zone,
                language=entry.settings.language,
                flows=flows.load(entry, zone, on, has_timers=timer is not None),
                teams=tuple(entry.teams),
                plan=entry.plan or DEFAULT_PLAN,
            )
        return tenants, flows.problems

    def _common_options(self, answers: BundleAnswers) -> Mapping[str, BaseModel]:
        found = answers.common if self._tenant is None else answers.of(self._tenant)
        return self._cache.shared(self._files, found.options)

    def _tenant_options(self, answers: BundleAnswers) -> Mapping[str, Mapping[str, BaseModel]]:
        own = {tenant: found.options for tenant, found in answers.own.items()}
        return own if self._tenant is None else {}

    def _entries(self, manifest: Manifest) -> Mapping[str, TenantEntry]:
        """Give the tenants that are to be read, or report that there is no such tenant."""
        wanted = self._tenant
        if wanted is None:
            return manifest.tenants or {DEFAULT_TENANT: TenantEntry()}
        if not manifest.tenants:
            return {wanted: self._entry or TenantEntry()}
        if wanted in manifest.tenants:
            return {wanted: manifest.tenants[wanted]}
        message = f"the bundle has no tenant {wanted!r}"
        hint = did_you_mean(wanted, manifest.tenants)
        self._problems.append(
            self._document.problem(("tenants",), "bundle.no_tenant", message, hint=hint)
        )
        return {}

    def _revision(self, manifest: Manifest) -> str:
        """Name what was read: the files, the secrets, and what else the flows depend on."""
        revision = revision_with(self._files.revision, self._lookups.secrets or {})
        entry = None if self._tenant is None or manifest.tenants else self._entry
        if entry is None or (entry.apps is None and entry.settings.timezone is None):
            return revision
        given = entry.model_dump_json(include={"apps": True, "settings": {"timezone"}})
        return hashlib.sha256(f"{revision}\n{given}".encode()).hexdigest()


def _read_manifest(files: BundleFiles) -> Document | None:
    present = [name for name in MANIFEST_NAMES if files.has_file(name)]
    text = files.read_text(present[0]) if present else None
    if text is None:
        return None
    document = read_yaml(text, present[0])
    if len(present) > 1:
        message = f"there are two manifests: {' and '.join(present)}"
        problem = document.problem((), "bundle.manifest_twice", message, hint="keep one")
        return replace(document, problems=(*document.problems, problem))
    return document


def _no_manifest(source: Path | BundleFiles) -> Problem:
    message = f"no {MANIFEST_NAMES[0]} here: this is no bundle"
    hint = f"greentic-events init {source}" if isinstance(source, Path) else None
    return Problem("error", "bundle.no_manifest", message, MANIFEST_NAMES[0], hint=hint)
