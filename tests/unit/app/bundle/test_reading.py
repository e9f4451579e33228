"""Bundles read whole: tenants, flows, options; and every problem at once."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.bundle.inspecting import flow_documents, inspect_path
from app.bundle.reading import Bundle, find_bundle_root, inspect_bundle, read_bundle
from app.errors import BundleError

MANIFEST = 'name: test\nversion: "1.0"\n'
FLOW = """\
name: {name}
version: "1.0"
triggers:
  - {{type: event, event_type: {event}, target: say}}
nodes:
  - {{id: say, type: log, config: {{message: hello}}}}
"""
TIMER_FLOW = """\
name: tick
version: "1.0"
triggers:
  - {type: timer, cron: "0 * * * *", target: say}
nodes:
  - {id: say, type: log, config: {message: hello}}
"""

Write = Callable[[Mapping[str, str]], Path]


def flow(name: str, event: str = "order.created") -> str:
    return FLOW.format(name=name, event=event)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def found(path: Path) -> list[tuple[str, str, str]]:
    """Severity, code and file of every problem."""
    problems = inspect_bundle(path, environment={}).problems
    return [(problem.severity, problem.code, problem.file) for problem in problems]


def refused(path: Path) -> list[tuple[str, str, str]]:
    """The same of a bundle that must not start."""
    assert inspect_bundle(path, environment={}).bundle is None
    with pytest.raises(BundleError):
        read_bundle(path, environment={})
    return found(path)


def flows_of(bundle: Bundle) -> dict[str, list[str]]:
    return {name: sorted(tenant.flows) for name, tenant in bundle.tenants.items()}


# ── What works ───────────────────────────────────────────────────────────────────────────────


def test_a_bundle_without_tenants_has_the_tenant_demo(write: Write) -> None:
    bundle = read_bundle(write({"greentic.demo.yaml": MANIFEST, "flows/a.ygtc": flow("a")}))
    assert (bundle.name, bundle.version) == ("test", "1.0")
    assert flows_of(bundle) == {"demo": ["a"]}
    assert bundle.problems == ()
    assert bundle.webhook is not None
    assert bundle.timer is not None


def test_the_other_manifest_name_is_accepted(write: Write) -> None:
    assert read_bundle(write({"greentic.yaml": MANIFEST})).name == "test"


def test_an_unquoted_version_is_text(write: Write) -> None:
    bundle = read_bundle(
        write(
            {
                "greentic.demo.yaml": "name: test\nversion: 1.10\n",
                "flows/a.ygtc": flow("a").replace('"1.0"', "2.10"),
            }
        )
    )
    assert bundle.version == "1.10"
    assert bundle.tenants["demo"].flows["a"].version == "2.10"


def test_tenants_run_their_apps_and_the_roots_flows(write: Write) -> None:
    manifest = (
        MANIFEST
        + "apps: {shop: {}, mail: {path: elsewhere/mail, config: {x: 1}, default_flow: m}}\n"
        + "tenants:\n  one: {apps: [shop], teams: {ops: {}}}\n  two:\n  three: {apps: []}\n"
    )
    bundle = read_bundle(
        write(
            {
                "greentic.demo.yaml": manifest,
                "flows/root.ygtc": flow("root"),
                "apps/shop/flows/s.ygtc": flow("auth/login"),
                "elsewhere/mail/flows/m.ygtc": flow("m"),
            }
        )
    )
    assert flows_of(bundle) == {
        "one": ["auth/login", "root"],
        "two": ["auth/login", "m", "root"],
        "three": ["root"],
    }
    assert bundle.tenants["one"].teams == ("ops",)
    assert bundle.apps["mail"].config == {"x": 1}


def test_without_a_list_every_folder_in_apps_is_an_app(write: Write) -> None:
    files = {"greentic.demo.yaml": MANIFEST, "apps/x/flows/deep/f.ygtc": flow("f")}
    assert flows_of(read_bundle(write(files))) == {"demo": ["f"]}


def test_tenants_with_the_same_apps_share_their_flows(write: Write) -> None:
    manifest = MANIFEST + "tenants: {a: {}, b: {}, c: {settings: {timezone: Asia/Tokyo}}}\n"
    bundle = read_bundle(write({"greentic.demo.yaml": manifest, "flows/t.ygtc": TIMER_FLOW}))
    one, two, three = (bundle.tenants[name].flows["tick"] for name in "abc")
    assert one is two
    assert three is not one
    assert bundle.tenants["c"].timezone == "Asia/Tokyo"


def test_the_time_zone_of_the_provider_is_the_default(write: Write) -> None:
    answers = '{"events-timer": {"timezone": "Europe/Berlin"}}'
    bundle = read_bundle(write({"greentic.demo.yaml": MANIFEST, "answers.json": answers}))
    assert bundle.tenants["demo"].timezone == "Europe/Berlin"


def test_the_revision_changes_with_any_file_read(write: Write) -> None:
    files = {"greentic.demo.yaml": MANIFEST, "flows/a.ygtc": flow("a"), "answers.json": "{}"}
    first = read_bundle(write(files)).revision
    assert read_bundle(write({"README.md": "hello"})).revision == first
    seen = {first}
    for name, text in files.items():
        seen.add(read_bundle(write({name: text + "\n"})).revision)
    assert len(seen) == 4


def test_secrets_are_not_in_the_repr(write: Write) -> None:
    answers = "events-webhook: {secret_header: X-Sig, secret_key: hunter2-hunter2}\n"
    bundle = read_bundle(write({"greentic.demo.yaml": MANIFEST, "answers.yaml": answers}))
    assert "hunter2" not in repr(bundle)


SCRIPTED = """\
name: {name}
version: "1.0"
triggers:
  - {{type: event, event_type: {name}.done, target: work}}
nodes:
  - {{id: work, type: script, config: {{{config}}}}}
"""


def test_a_script_file_is_a_program_and_the_rest_are_shared_functions(write: Write) -> None:
    files = {
        "greentic.demo.yaml": MANIFEST,
        "scripts/shared.rhai": "fn twice(x) { x * 2 }",
        "scripts/program.rhai": "let a = twice(3); a + own()",
        "apps/x/scripts/own.rhai": "fn own() { twice(1) }",
        "apps/x/scripts/program2.rhai": "own() + 1",
        "apps/x/flows/a.ygtc": SCRIPTED.format(
            name="a", config="script_file: scripts/program.rhai"
        ),
        "apps/x/flows/b.ygtc": SCRIPTED.format(
            name="b", config="script_file: ./scripts/program2.rhai"
        ),
    }
    bundle = read_bundle(write(files))
    assert (bundle.problems, flows_of(bundle)) == ((), {"demo": ["a", "b"]})
    digests = {name: flow.digest for name, flow in bundle.tenants["demo"].flows.items()}
    changed = read_bundle(write({"scripts/shared.rhai": "fn twice(x) { x + x }"}))
    for name, flow in changed.tenants["demo"].flows.items():
        assert flow.digest != digests[name]


def test_a_function_that_two_shared_files_define_is_refused(write: Write) -> None:
    files = {
        "greentic.demo.yaml": MANIFEST,
        "scripts/a.rhai": "fn f() { 1 }",
        "apps/x/scripts/b.rhai": "fn f() { 2 }",
    }
    assert [found[0] for found in refused(write(files))] == ["error"]


def test_a_shared_file_with_a_program_is_refused(write: Write) -> None:
    assert refused(write({"greentic.demo.yaml": MANIFEST, "scripts/a.rhai": "let a = 1;"})) == [
        ("error", "script.parse", "scripts/a.rhai")
    ]


# ── Flows that do not load ───────────────────────────────────────────────────────────────────


def test_a_broken_flow_is_left_out_and_the_others_stay(write: Write) -> None:
    files = {
        "greentic.demo.yaml": MANIFEST,
        "flows/good.ygtc": flow("good"),
        "flows/type.ygtc": flow("typo").replace("type: log", "type: lgo"),
        "flows/yaml.ygtc": "name: [",
        "flows/list.ygtc": "- 1",
    }
    bundle = read_bundle(write(files))
    assert flows_of(bundle) == {"demo": ["good"]}
    broken = {problem.file for problem in bundle.problems if problem.severity == "error"}
    assert broken == {"flows/type.ygtc", "flows/yaml.ygtc", "flows/list.ygtc"}


def test_a_doubled_name_starts_neither(write: Write) -> None:
    files = {
        "greentic.demo.yaml": MANIFEST,
        "flows/a.ygtc": flow("same"),
        "flows/b.ygtc": flow("same"),
        "flows/c.ygtc": flow("c"),
    }
    bundle = read_bundle(write(files))
    assert flows_of(bundle) == {"demo": ["c"]}
    assert [(problem.code, problem.place) for problem in bundle.problems] == [
        ("bundle.flow_name", "flows/a.ygtc:1:7"),
        ("bundle.flow_name", "flows/b.ygtc:1:7"),
    ]


def test_a_name_may_repeat_in_different_tenants(write: Write) -> None:
    manifest = MANIFEST + "apps: {x: {}, y: {}}\ntenants: {a: {apps: [x]}, b: {apps: [y]}}\n"
    files = {
        "greentic.demo.yaml": manifest,
        "apps/x/flows/f.ygtc": flow("same"),
        "apps/y/flows/f.ygtc": flow("same"),
    }
    assert flows_of(read_bundle(write(files))) == {"a": ["same"], "b": ["same"]}


def test_a_flow_that_leads_out_is_left_out(
    write: Write, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "f.ygtc"
    outside.write_text(flow("outside"))
    root = write({"greentic.demo.yaml": MANIFEST, "flows/a.ygtc": flow("a")})
    (root / "flows" / "evil.ygtc").symlink_to(outside)
    bundle = read_bundle(root)
    assert flows_of(bundle) == {"demo": ["a"]}
    assert [problem.file for problem in bundle.problems] == ["flows/evil.ygtc"]


def test_timers_of_a_provider_that_is_off_are_a_warning(write: Write) -> None:
    answers = '{"events-timer": {"enabled": false}}'
    files = {"greentic.demo.yaml": MANIFEST, "answers.json": answers, "flows/t.ygtc": TIMER_FLOW}
    bundle = read_bundle(write(files))
    assert bundle.timer is None
    assert [(p.severity, p.code) for p in bundle.problems] == [("warning", "bundle.timer_off")]


# ── Bundles that are refused ─────────────────────────────────────────────────────────────────


def test_all_problems_of_a_bundle_come_at_once(write: Write) -> None:
    manifest = """\
name: test
version: "1"
colour: red
providers:
  events-webook: {}
apps:
  a: {path: ../outside}
  b: {}
tenants:
  Bad.Name: {}
  demo: {apps: [b, z], settings: {timezone: Mars/Base}}
"""
    root = write(
        {
            "greentic.demo.yaml": manifest,
            "answers.json": '{"events-sms-twilio": {}}',
            "flows/y.ygtc": "cron: * * * * *",
            "tenants/demo/tenant.gmap": "",
        }
    )
    codes = sorted(code for _, code, _ in refused(root))
    assert codes == [
        "bundle.app_missing",
        "bundle.app_missing",
        "bundle.app_unknown",
        "bundle.unknown_key",
        "bundle.unsupported",
        "bundle.unsupported",
        "bundle.value",
        "bundle.value",
        "bundle.value",
        "bundle.value",
        "yaml.syntax",
    ]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "bundle.no_manifest"),
        ({"greentic.demo.yaml": MANIFEST, "greentic.yaml": MANIFEST}, "bundle.manifest_twice"),
        ({"greentic.demo.yaml": "- 1"}, "bundle.value"),
        ({"greentic.demo.yaml": ""}, "bundle.value"),
        ({"greentic.demo.yaml": "name: [\n"}, "yaml.syntax"),
        ({"greentic.demo.yaml": "name: x\n"}, "bundle.missing_key"),
        ({"greentic.demo.yaml": MANIFEST, "answers.json": "{"}, "json.syntax"),
        (
            {"greentic.demo.yaml": MANIFEST, "answers.json": "{}", "answers.yaml": ""},
            "bundle.answers_twice",
        ),
        (
            {"greentic.demo.yaml": MANIFEST + "apps: {a: {pack: a.gtpack}}\n"},
            "bundle.unsupported",
        ),
        (
            {
                "greentic.demo.yaml": MANIFEST
                + "providers: {events-webhook: {pack: providers/events/my.gtpack}}\n"
            },
            "bundle.unsupported",
        ),
        (
            {
                "greentic.demo.yaml": MANIFEST + "apps: {a: {default_flow: f}}\n",
                "apps/a/flows/g.ygtc": flow("g"),
            },
            "bundle.default_flow",
        ),
        (
            {"greentic.demo.yaml": MANIFEST, "providers/events/mine.gtpack": ""},
            "bundle.unsupported",
        ),
        (
            {"greentic.demo.yaml": MANIFEST, "answers.json": '{"events-webhook": {"max_body": 1}}'},
            "bundle.unknown_key",
        ),
        ({"greentic.demo.yaml": MANIFEST, "scripts/s.rhai": "fn f( {"}, "script.parse"),
    ],
)
def test_a_bundle_is_refused(write: Write, files: Mapping[str, str], code: str) -> None:
    assert [found[:2] for found in refused(write(files))] == [("error", code)]


def test_a_path_that_is_no_folder_is_refused(write: Write) -> None:
    root = write({"file": ""})
    assert refused(root / "file") == [("error", "bundle.missing", str(root / "file"))]
    assert refused(root / "absent") == [("error", "bundle.missing", str(root / "absent"))]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (
            {"greentic.demo.yaml": MANIFEST, "providers/events/events-webhook.gtpack": ""},
            "bundle.pack_unused",
        ),
        (
            {"greentic.demo.yaml": MANIFEST + "providers: {events-sms-twilio: }\n"},
            "bundle.unanswered",
        ),
        (
            {"greentic.demo.yaml": MANIFEST + "providers: {messaging-x: {pack: x.gtpack}}\n"},
            "bundle.skipped",
        ),
        (
            {"greentic.demo.yaml": MANIFEST + "apps: {}\n", "apps/a/flows/f.ygtc": flow("f")},
            "bundle.app_unlisted",
        ),
    ],
)
def test_a_warning_stops_nothing(write: Write, files: Mapping[str, str], code: str) -> None:
    bundle = read_bundle(write(files))
    assert [(problem.severity, problem.code) for problem in bundle.problems] == [("warning", code)]


def test_standard_packs_are_built_in(write: Write) -> None:
    manifest = MANIFEST + (
        "providers:\n"
        '  events-webhook: {pack: "providers/events/events-webhook.gtpack"}\n'
        '  events-timer: {pack: "providers/events/events-timer.gtpack"}\n'
    )
    assert read_bundle(write({"greentic.demo.yaml": manifest})).problems == ()


# ── Whatever a path names ────────────────────────────────────────────────────────────────────


def test_a_single_flow_of_a_bundle_sees_its_neighbours(write: Write) -> None:
    calling = flow("caller").replace(
        "type: log, config: {message: hello}", "type: async, config: {flow: other}"
    )
    root = write(
        {
            "greentic.demo.yaml": MANIFEST,
            "flows/caller.ygtc": calling,
            "flows/other.ygtc": flow("other", "x"),
            "flows/bad.ygtc": "name: [",
        }
    )
    inspection = inspect_path(root / "flows" / "caller.ygtc")
    assert (inspection.files, inspection.problems) == (("flows/caller.ygtc",), ())
    assert [p.file for p in inspect_path(root / "flows").problems] == ["flows/bad.ygtc"]
    assert find_bundle_root(root / "flows") == root.resolve()


def test_loose_flows_are_examined_together(write: Write) -> None:
    root = write({"a.ygtc": flow("a"), "sub/b.ygtc": flow("a")})
    assert [p.code for p in inspect_path(root).problems] == ["bundle.flow_name"] * 2
    assert inspect_path(root / "a.ygtc").problems == ()
    assert inspect_path(root).files == ("a.ygtc", "sub/b.ygtc")


def test_a_folder_without_flows_is_an_error(write: Write) -> None:
    root = write({"x.txt": ""})
    assert [p.code for p in inspect_path(root).problems] == ["bundle.no_flows"]
    assert [p.code for p in inspect_path(root / "absent").problems] == ["bundle.missing"]


def test_documents_are_read_right_or_wrong(write: Write) -> None:
    root = write({"a.ygtc": flow("a"), "b.ygtc": "name: ["})
    assert [document.file for document in flow_documents(root)] == ["a.ygtc", "b.ygtc"]
    (root / "c.ygtc").write_bytes(b"\xff")
    with pytest.raises(BundleError):
        flow_documents(root)
