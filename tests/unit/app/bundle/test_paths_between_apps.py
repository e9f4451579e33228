"""No path and no link in a flow leads to another app's files, or out of the bundle (SPEC 3)."""

import json
from pathlib import Path

import pytest

from app.bundle.reading import inspect_bundle
from tests.support.programs import write_bundle
from tests.support.thieving_flows import MANIFEST, a_flow, a_node
from tests.support.two_tenants import ATTACKER, MARK, VICTIM

FILES = (
    "../good/{folder}/own{suffix}", "apps/good/{folder}/own{suffix}", "/etc/hostname",
    "../../apps/good/{folder}/own{suffix}", "{folder}/../../good/{folder}/own{suffix}",
    "./../good/{folder}/own{suffix}", "{folder}/own{suffix}", "apps\\good\\{folder}\\own{suffix}",
    "{folder}/linked{suffix}",
)  # fmt: skip
SCRIPT_FILE, TEMPLATE_FILE = ("scripts", ".rhai"), ("templates", ".hbs")


def a_bundle_of_thieves(root: Path) -> Path:
    """Apps of two tenants: one has files, the other's flows name them in every way."""
    bundle = write_bundle(root, {}, MANIFEST.replace("both: {}, ", "").replace("both, ", ""))
    for folder, suffix in (SCRIPT_FILE, TEMPLATE_FILE):
        for app in ("good", "evil"):
            (bundle / "apps" / app / folder).mkdir(parents=True)
            (bundle / "apps" / app / "flows").mkdir(exist_ok=True)
        text = f'"{MARK}"' if suffix == ".rhai" else MARK
        (bundle / "apps" / "good" / folder / f"own{suffix}").write_text(text)
    flows = {
        f"{folder}-{number}": a_node(
            "steal", folder.removesuffix("s"),
            {f"{folder.removesuffix('s')}_file": file.format(folder=folder, suffix=suffix)},
        )
        for folder, suffix in (SCRIPT_FILE, TEMPLATE_FILE)
        for number, file in enumerate(FILES)
    }  # fmt: skip
    flows["partial"] = a_node("steal", "template", {"template": "{{> own}}"})
    for name, node in flows.items():
        text = a_flow(name, "steal.asked", node)
        (bundle / "apps" / "evil" / "flows" / f"{name}.ygtc").write_text(text)
    good = a_node("steal", "script", {"script_file": "scripts/own.rhai"})
    (bundle / "apps" / "good" / "flows" / "own.ygtc").write_text(a_flow("own", "own.asked", good))
    return bundle


def test_no_path_leads_into_another_app_or_out_of_the_bundle(tmp_path: Path) -> None:
    bundle = a_bundle_of_thieves(tmp_path / "bundle")
    read = inspect_bundle(bundle, environment={})
    assert read.bundle is not None
    assert set(read.bundle.tenants[VICTIM].flows) == {"own"}, "who owns the files may use them"
    assert not read.bundle.tenants[ATTACKER].flows
    assert MARK not in str(read.problems)


@pytest.mark.parametrize("target", ["outside", "folder"])
def test_no_link_leads_out_of_the_bundle(tmp_path: Path, target: str) -> None:
    bundle = a_bundle_of_thieves(tmp_path / "bundle")
    (tmp_path / "outside.rhai").write_text(f'"{MARK}"')
    link = bundle / "apps" / "evil" / "scripts" / "linked.rhai"
    if target == "outside":
        link.symlink_to(tmp_path / "outside.rhai")
    else:
        (bundle / "apps" / "evil" / "scripts").rmdir()
        (bundle / "apps" / "evil" / "scripts").symlink_to(tmp_path)
    read = inspect_bundle(bundle, environment={})
    assert read.bundle is None or not read.bundle.tenants[ATTACKER].flows
    assert MARK not in str(read.problems)


@pytest.mark.parametrize("key", ["path", "pack"])
@pytest.mark.parametrize("place", ["../elsewhere", "/etc", "a/../../b", "a\\..\\b"])
def test_no_app_and_no_pack_lies_outside_the_bundle(tmp_path: Path, key: str, place: str) -> None:
    manifest = f"apps: {{evil: {{{key}: {json.dumps(place)}}}}}\n"
    read = inspect_bundle(write_bundle(tmp_path / "bundle", {}, manifest), environment={})
    assert read.bundle is None
