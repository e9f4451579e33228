"""The fuzzer's seeds, and what it found once, hold what it checks; no fuzzer is needed for that."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.properties import check_script, check_template

SEEDS = Path(__file__).parents[1] / "fuzz" / "seeds"
CHECKS: dict[str, Callable[[str], None]] = {"script": check_script, "template": check_template}
CASES = [
    pytest.param(kind, path, id=f"{kind}/{path.name}")
    for kind in CHECKS
    for path in sorted((SEEDS / kind).iterdir())
]


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_a_seed_ends_in_a_value_or_a_named_error(kind: str, path: Path) -> None:
    CHECKS[kind](path.read_text(encoding="utf-8"))
