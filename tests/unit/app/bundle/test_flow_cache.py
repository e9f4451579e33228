"""A thousand tenants of one archive compile its flows once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.bundle import flow_cache as flow_cache_module
from app.bundle import tenant_flows
from app.bundle.files import MemoryFiles
from app.bundle.flow_cache import FlowCache
from app.bundle.flows import FlowSource, LoadedFlows, load_flows
from app.bundle.models import TenantEntry, TenantSettings
from app.bundle.reading import Bundle, inspect_bundle, read_bundle
from app.errors import BundleError
from app.stores.secrets import StoredSecret

MANIFEST = b'name: shop\nversion: "1"\n'
FLOW = b"""\
name: hello
version: "1"
triggers: [{type: event, event_type: order.created, target: say}]
nodes: [{id: say, type: log, config: {message: hello}}]
"""


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles({"greentic.demo.yaml": MANIFEST, "apps/one/flows/a.ygtc": FLOW})


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sources each compilation had."""
    seen: list[int] = []

    def watched(sources: Sequence[FlowSource]) -> LoadedFlows:
        seen.append(len(sources))
        return load_flows(sources)

    monkeypatch.setattr(tenant_flows, "load_flows", watched)
    return seen


def entry(zone: str | None = None, apps: list[str] | None = None) -> TenantEntry:
    return TenantEntry(settings=TenantSettings(timezone=zone), apps=apps)


def test_a_thousand_tenants_compile_once_and_share_the_flows(
    files: MemoryFiles, compiled: list[int]
) -> None:
    cache = FlowCache()
    flows = set()
    for number in range(1000):
        bundle = read_bundle(files, tenant=f"t{number}", flows=cache)
        (tenant,) = bundle.tenants.values()
        assert tenant.id == f"t{number}"
        flows.add(id(tenant.flows))
    assert compiled == [1]
    assert len(flows) == 1


def test_what_flows_depend_on_is_told_apart(files: MemoryFiles, compiled: list[int]) -> None:
    cache = FlowCache()

    def read(tenant_entry: TenantEntry) -> Bundle:
        return read_bundle(files, tenant="t", entry=tenant_entry, flows=cache)

    assert set(read(entry()).tenants["t"].flows) == {"hello"}
    read(entry("Europe/Oslo"))
    assert set(read(entry(apps=["none"])).tenants["t"].flows) == set()
    assert len(compiled) == 3
    for again in (entry(), entry("Europe/Oslo"), entry(apps=["none"])):
        read(again)
    assert len(compiled) == 3
    other = MemoryFiles(dict(files.contents) | {"answers.json": b"{}"})
    read_bundle(other, tenant="t", flows=cache)
    assert len(compiled) == 4


def test_a_folder_may_change_and_is_read_anew(tmp_path: Path, compiled: list[int]) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "greentic.demo.yaml").write_bytes(MANIFEST)
    (tmp_path / "flows" / "a.ygtc").write_bytes(FLOW)
    cache = FlowCache()
    read_bundle(tmp_path, flows=cache)
    (tmp_path / "flows" / "a.ygtc").write_bytes(FLOW.replace(b"hello", b"other"))
    assert set(read_bundle(tmp_path, flows=cache).tenants["demo"].flows) == {"other"}
    assert len(compiled) == 2


def test_what_is_wrong_is_told_each_time(files: MemoryFiles) -> None:
    cache = FlowCache()
    wrong = MemoryFiles(dict(files.contents) | {"scripts/a.rhai": b"\xff"})
    first, again = (inspect_bundle(wrong, flows=cache) for _ in range(2))
    assert first.problems == again.problems == inspect_bundle(wrong).problems
    assert first.bundle is again.bundle is None
    with pytest.raises(BundleError, match=r"scripts/a\.rhai is no UTF-8"):
        read_bundle(wrong, flows=cache)


def test_a_broken_flow_is_named_each_time(files: MemoryFiles) -> None:
    cache = FlowCache()
    wrong = MemoryFiles(dict(files.contents) | {"flows/b.ygtc": b"name: b\n"})
    first, again = (read_bundle(wrong, tenant=name, flows=cache) for name in ("x", "y"))
    assert first.problems == again.problems != ()


def test_what_was_not_asked_for_lately_is_let_go(
    files: MemoryFiles, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_cache_module, "LOADED_MAX", 2)
    cache = FlowCache()
    for zone in ("UTC", "Europe/Oslo", "UTC", "Asia/Tokyo", "UTC", "Europe/Oslo"):
        read_bundle(files, tenant="t", entry=entry(zone), flows=cache)
    assert len(compiled) == 4


def test_threads_that_read_the_same_archive_compile_it_once(
    files: MemoryFiles, compiled: list[int]
) -> None:
    cache = FlowCache()
    with ThreadPoolExecutor(8) as pool:
        reads = [
            pool.submit(read_bundle, files, tenant=f"t{number}", flows=cache)
            for number in range(40)
        ]
    assert {tuple(each.result().tenants) for each in reads} == {(f"t{n}",) for n in range(40)}
    assert compiled == [1]


def test_tenants_with_the_same_options_share_them(files: MemoryFiles) -> None:
    answers = b"""{"events-webhook": {"secret_header": "h", "secret_key": {"$secret": "key"}}}"""
    files = MemoryFiles(dict(files.contents) | {"answers.json": answers})
    cache = FlowCache()

    def options(tenant: str, key: str) -> int:
        secrets = {"key": StoredSecret(key, 1)}
        bundle = read_bundle(files, tenant=tenant, secrets=secrets, flows=cache)
        assert bundle.webhook is not None
        assert bundle.webhook.secret_key is not None
        assert bundle.webhook.secret_key.get_secret_value() == key
        return id(kept.setdefault(id(bundle.options), bundle.options))

    kept: dict[int, object] = {}
    first, second, third = (options(f"t{at}", key) for at, key in enumerate(("a", "a", "b")))
    assert first == second != third


# ── Bundles read for one tenant ──────────────────────────────────────────────────────────────


def test_a_bundle_that_lists_tenants_is_read_for_one_of_them() -> None:
    manifest = MANIFEST + b"tenants: {acme: {plan: gold, settings: {language: no}}, bolt: {}}\n"
    files = MemoryFiles({"greentic.demo.yaml": manifest})
    bundle = read_bundle(files, tenant="acme", entry=TenantEntry(plan="free"))
    assert list(bundle.tenants) == ["acme"]
    assert (bundle.tenants["acme"].plan, bundle.tenants["acme"].language) == ("gold", "no")
    with pytest.raises(BundleError, match="the bundle has no tenant 'acne'") as refused:
        read_bundle(files, tenant="acne")
    assert "acme" in str(refused.value.problems[0])


def test_a_bundle_that_lists_none_is_read_for_any() -> None:
    files = MemoryFiles({"greentic.demo.yaml": MANIFEST})
    given = TenantEntry(name="Any", plan="gold")
    assert read_bundle(files, tenant="any", entry=given).tenants["any"].plan == "gold"
    assert read_bundle(files, tenant="any").tenants["any"].plan == "default"


def test_the_revision_follows_what_the_entry_makes_of_the_flows(files: MemoryFiles) -> None:
    def revision(given: TenantEntry | None) -> str:
        return read_bundle(files, tenant="t", entry=given).revision

    assert revision(None) == files.digest
    assert revision(entry("Europe/Oslo")) == revision(entry("Europe/Oslo")) != files.digest
    assert revision(TenantEntry(plan="gold", name="x")) == files.digest
