"""Fuzz templates: ``python -m tests.fuzz.fuzz_template CORPUS [-max_total_time=N]``.

As fuzz_script, for the template language.
"""

from tests.fuzz.target import run

if __name__ == "__main__":
    run("check_template", "template")
