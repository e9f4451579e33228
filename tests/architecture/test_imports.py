"""What a command must not pay for: libraries that only a serving process needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("library", ["fastapi", "schemathesis", "hypothesis"])
def test_the_command_line_does_not_import_it(library: str) -> None:
    script = f"import sys, app.cli.main; print({library!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
