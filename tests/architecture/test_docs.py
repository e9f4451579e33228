"""The documents keep their promises: form, links, generated pages, and flows that run."""

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer

from actors.events import Event
from actors.nodes.catalog import CATALOG
from actors.outcomes import Completed
from actors.testing.ids import CountingIds
from actors.testing.local import LocalRun, LocalWorld, run_locally
from app.bundle.reading import Bundle, inspect_bundle
from app.cli.docs import PAGES, stale_pages
from app.cli.docs_models import model_rows, models_within
from app.cli.main import build_app
from app.cli.main import run as run_command
from app.outbound import EgressPolicy, GuardedCaller
from app.system import SystemClock

ROOT = Path(__file__).resolve().parents[2]
README_LINES_MAX = 150
ADR_LINES_MAX = 60
"""At most a page."""
EVENT_TYPE_DEFAULT = "order.created"

PAGES_ALL = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


# ── Form ─────────────────────────────────────────────────────────────────────────────────────


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX


@pytest.mark.parametrize("path", PAGES_ALL, ids=named)
def test_a_page_has_one_title_and_it_comes_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    titles = re.findall(r"^# .+", without_code(text), flags=re.MULTILINE)
    assert len(titles) == 1
    assert text.startswith(titles[0])


@pytest.mark.parametrize("path", PAGES_ALL, ids=named)
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8")))
    broken = [target for target in targets if "://" not in target and not leads(path, target)]
    assert not broken


def leads(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    found = (page.parent / name).resolve() if name else page
    if not found.exists() or not found.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(found.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)", without_code(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", ADRS, ids=named)
def test_a_decision_has_a_status_a_date_and_three_parts_on_one_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# \d{4}\. ", text)
    assert path.name[:4] == text[2:6]
    assert re.search(r"^Status: (accepted|superseded by \d{4})$", text, flags=re.MULTILINE)
    assert re.search(r"^Date: \d{4}-\d\d-\d\d$", text, flags=re.MULTILINE)
    headings = re.findall(r"^## (.+)", text, flags=re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= ADR_LINES_MAX


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{n:04}" for n in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", PAGES_ALL, ids=named)
def test_a_page_names_no_address_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users)/", text)


# ── Commands ─────────────────────────────────────────────────────────────────────────────────


def shown_commands() -> list[str]:
    pages = [ROOT / "README.md", ROOT / "docs" / "cli.md", ROOT / "deploy" / "README.md"]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]
    text = "\n".join(blocks).replace("\\\n", " ")
    return re.findall(r"greentic-events (.+)", text)


@pytest.mark.parametrize("text", shown_commands())
def test_a_shown_command_has_the_options_it_is_shown_with(text: str) -> None:
    words = shlex.split(text)
    command: Any = typer.main.get_command(build_app())
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(text, words)  # raises for what the command does not take


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `([a-z-]+(?: [a-z]+){0,2})", page, re.MULTILINE))
    assert shown == set(command_names(typer.main.get_command(build_app()), ""))


def command_names(group: Any, prefix: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from command_names(command, f"{prefix}{name} ")
        elif not command.hidden:
            yield f"{prefix}{name}"


# ── Generated pages ──────────────────────────────────────────────────────────────────────────


def test_generated_pages_are_fresh() -> None:
    assert not list(stale_pages(ROOT / "docs")), "run make docs"


def test_check_fails_when_a_page_is_stale_and_writing_mends_it(tmp_path: Path) -> None:
    arguments = ["docs", "--output", str(tmp_path)]
    assert run_command([*arguments, "--check"]) == 1
    assert run_command(arguments) == 0
    assert run_command([*arguments, "--check"]) == 0
    (tmp_path / "errors.md").write_text("# Errors\n")
    assert run_command([*arguments, "--check"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PAGES)


def test_docs_are_not_written_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert run_command(["docs", "--output", str(tmp_path / "no")]) == 1
    assert not list(tmp_path.iterdir())


def test_every_key_of_a_node_is_explained() -> None:
    for spec in CATALOG:
        for model in (spec.config, *models_within(spec.config)):
            unexplained = [row[0] for row in model_rows(model) if not row[-1]]
            assert not unexplained, f"{spec.type}: {model.__name__}"


# ── Flows that the documentation shows ───────────────────────────────────────────────────────


@dataclass(frozen=True)
class Shown:
    """A flow on the page, and what its first lines say of it."""

    name: str
    text: str
    says: dict[str, str] = field(default_factory=dict)


def shown_flows() -> list[Shown]:
    page = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    found = []
    for text in re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        name = re.search(r"^name: (\S+)", text, flags=re.MULTILINE)
        assert name, text
        says = dict(re.findall(r"^# (event|result|answer|emits|starts): (.+)", text, re.MULTILINE))
        found.append(Shown(name[1], text, says))
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One bundle of all flows on the page."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "greentic.demo.yaml").write_text('name: docs\nversion: "1"\n')
    (folder / "flows").mkdir()
    for shown in shown_flows():
        (folder / "flows" / f"{shown.name}.ygtc").write_text(shown.text)
    inspection = inspect_bundle(folder, environment={})
    assert not inspection.problems
    assert inspection.bundle is not None
    return inspection.bundle


def test_flows_page_shows_every_node_type(bundle: Bundle) -> None:
    nodes = {
        node.type for flow in bundle.tenants["demo"].flows.values() for node in flow.nodes.values()
    }
    assert nodes == {spec.type for spec in CATALOG}


@pytest.mark.parametrize(
    "shown", [item for item in shown_flows() if item.says], ids=lambda item: item.name
)
def test_a_shown_flow_gives_what_the_page_says(shown: Shown, bundle: Bundle) -> None:
    run = asyncio.run(run_shown(shown, bundle))
    assert isinstance(run.outcome, Completed), run.outcome
    assert run.outcome.output == json.loads(shown.says["result"])
    answers = [answer.body for answer in run.answers]
    emitted = [event.payload for event in run.emitted]
    assert answers == [json.loads(shown.says[key]) for key in ("answer",) if key in shown.says]
    assert emitted == [json.loads(shown.says[key]) for key in ("emits",) if key in shown.says]
    assert [item.flow for item in run.started] == [
        shown.says[key] for key in ("starts",) if key in shown.says
    ]


def test_flows_page_names_every_code_of_a_failed_run() -> None:
    page = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    codes = set(run_codes())
    assert len(codes) > 20
    assert not {code for code in codes if f"`{code}`" not in page}


def run_codes() -> Iterator[str]:
    """Codes as the code spells them: reasons of node errors, and of RunError itself."""
    for path in [*(ROOT / "actors").rglob("*.py"), *(ROOT / "app").rglob("*.py")]:
        if "testing" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        constants = dict(re.findall(r"^(_[A-Z_]+): Final = \"([a-z_.]+)\"", text, re.MULTILINE))
        yield from re.findall(r"\breason=\"([a-z_.]+)\"", text)
        yield from re.findall(r"\bRunError\(\"([a-z_.]+)\"", text)
        for name in re.findall(
            r"\breason=(_[A-Z_]+)\b|check_headers\(\w+\[.*?\], (_[A-Z_]+)", text
        ):
            if (name[0] or name[1]) in constants:
                yield constants[name[0] or name[1]]
        for table in re.findall(r"^_REASONS: Final.*?^}", text, re.MULTILINE | re.DOTALL):
            yield from re.findall(r"\"([a-z_]+\.[a-z_]+)\"", table)


async def run_shown(shown: Shown, bundle: Bundle) -> LocalRun:
    flows = bundle.tenants["demo"].flows
    flow = flows[shown.name]
    event_type = next(t.pattern for t in flow.triggers if t.pattern and "*" not in t.pattern)
    payload: Any = json.loads(shown.says["event"])
    event = Event("evt-1", event_type, "webhook", 1_700_000_000_000, payload)
    async with GuardedCaller(EgressPolicy(), clock=SystemClock()) as http:
        place = LocalWorld("dev", "demo", http, SystemClock(), CountingIds())
        return await run_locally(flow, flows, event, place)
