"""The rules of STYLE 6 that a machine can check. Limits ratchet down, never up."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "actors", "grammar")

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6
FORBIDDEN_NAMES = frozenset({"utils", "util", "helper", "common", "base", "manager", "misc"})
TOP_LEVEL = frozenset(
    {
        "pyproject.toml", "README.md", "app", "actors", "grammar", "tests", "deploy",
        "docs", "examples", "CHANGELOG.md", "LICENSE", "Makefile",
    }
)  # fmt: skip


def modules(*packages: str) -> list[Path]:
    return sorted(path for name in packages for path in (ROOT / name).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def where(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=where)
def test_module_is_small_and_introduces_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    assert ast.get_docstring(parsed(path)), "every module opens with what comes in and goes out"


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=where)
def test_functions_are_short_and_take_few_parameters(path: Path) -> None:
    too_long, too_wide = [], []
    for node in functions(path):
        if (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX:
            too_long.append(node.name)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        named = [item for item in arguments if item.arg not in {"self", "cls"}]
        is_command = "cli" in path.parts  # typer declares one parameter per option
        if len(named) > PARAMETERS_MAX and node.name != "__init__" and not is_command:
            too_wide.append(node.name)
    assert not too_long
    assert not too_wide


def test_no_room_has_a_name_that_says_nothing() -> None:
    bad = [where(p) for p in modules(*PACKAGES) if {p.stem, *p.parts} & FORBIDDEN_NAMES]
    assert not bad


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=where)
def test_imports_are_absolute_and_avoid_the_own_front_door(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    relative = [
        n.lineno for n in ast.walk(parsed(path)) if isinstance(n, ast.ImportFrom) and n.level
    ]
    through_door = [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
        and node.module == package
        and not all((ROOT / package / f"{alias.name}.py").exists() for alias in node.names)
    ]
    assert not relative
    assert not through_door, f"inside {package}, import the module and not the package"


def test_every_module_is_reachable() -> None:
    """A module that nothing imports is dead, unless the outside world enters through it."""
    doors = {
        "app.cli.main",
        "app.bus.server_exec",
        "app.worker.script_child",
        "app.history.transport.driver",  # by its entry point
        "app.history.transport.bindings",
    }
    doors |= {place.module for place in COMMANDS}
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules(*PACKAGES)
        if path.name != "__init__.py"
    }
    used: set[str] = set()
    for path in modules(*PACKAGES):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module)
                used |= {f"{node.module}.{alias.name}" for alias in node.names}
    tests_only = {name for name in names if name.startswith("actors.testing")}
    assert names - used - doors - tests_only == set()


def test_error_codes_are_unique_and_stable_in_form() -> None:
    codes: dict[str, list[str]] = {}
    for path in (ROOT / "actors" / "errors.py", ROOT / "app" / "errors.py"):
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            for statement in node.body:
                target = (
                    getattr(statement, "target", None) or getattr(statement, "targets", [None])[0]
                )
                value = getattr(statement, "value", None)
                if getattr(target, "id", "") == "code" and isinstance(value, ast.Constant):
                    codes.setdefault(str(value.value), []).append(node.name)
    assert len(codes) > 15
    assert all(len(names) == 1 for names in codes.values()), codes
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", code) for code in codes)


def test_only_the_given_things_stand_at_the_top() -> None:
    allowed_dots = re.compile(r"\..+")
    tracked = {
        path.name
        for path in ROOT.iterdir()
        if not allowed_dots.fullmatch(path.name) and not path.name.endswith(".egg-info")
    }
    assert tracked - {"build", "dist"} <= TOP_LEVEL


def test_every_dependency_is_pinned_for_ci() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        re.split(r"[=\[]", line)[0].lower().replace("_", "-")
        for line in (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    wanted = [*settings["dependencies"], *settings["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=\[;]", item)[0].strip().lower().replace("_", "-") for item in wanted}
    assert names <= pinned


def test_constraints_name_no_address() -> None:
    assert "://" not in (ROOT / ".ci" / "constraints.txt").read_text()


def test_markdown_links_lead_somewhere() -> None:
    broken = []
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for page in pages:
        if not page.exists():
            continue
        targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        local = [target for target in targets if "://" not in target]
        broken += [f"{where(page)} → {t}" for t in local if not (page.parent / t).exists()]
    assert not broken
