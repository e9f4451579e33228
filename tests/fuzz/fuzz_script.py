"""Fuzz scripts and conditions: ``python -m tests.fuzz.fuzz_script CORPUS [-max_total_time=N]``.

CORPUS is a folder for what the fuzzer finds interesting; the seeds are read besides. Needs the
extra ``fuzz``. An input that breaks the property is written to ``crash-*`` and ends the run.
"""

from tests.fuzz.target import run

if __name__ == "__main__":
    run("check_script", "script")
