"""Count many records while processes are killed: `python -m tests.metering.run --kills 20`.

In: how many records and kills, a seed. Out: one line, and exit code 1 if a window is not what a
recount of the stream says.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.metering.story import Plan, tell
from tests.support.nats_server import KillableServer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--server-kills", type=int, default=2)
    parser.add_argument("--freezes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    plan = Plan(given.records, given.kills, given.server_kills, given.freezes, given.seed)
    with tempfile.TemporaryDirectory() as folder:
        server = KillableServer(Path(folder))
        server.start_blocking()
        try:
            report = asyncio.run(tell(server, plan))
        finally:
            server.kill_blocking()
    print(report.as_text())
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
