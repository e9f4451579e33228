"""The faults, by name. Adding one is a function elsewhere and a line here.

In: nothing. Out: `FAULTS`, which `make test-faults` runs, and `SHORT`, which CI does.
"""

from typing import Final

from tests.faults import chaos, machine
from tests.faults.replicas import CLUSTER
from tests.faults.scenario import LANE_KINDS, LANES, SLEEPERS
from tests.faults.scene import Fault

FAULTS: Final = (
    Fault("workers", chaos.kill_workers, amount=200),
    Fault("ingress", chaos.kill_ingress, amount=20),
    Fault("server", chaos.kill_server, amount=20),
    Fault("both", chaos.kill_both, amount=20),
    Fault("freeze", chaos.freeze_worker, amount=2),
    Fault(
        "disk",
        machine.fill_disk,
        amount=2,
        refuse=machine.refuse_mounts,
        lay_out=machine.mount_small_disk,
        clean=machine.unmount_small_disk,
    ),
    Fault(
        "clock",
        machine.move_clocks,
        amount=4,
        refuse=machine.refuse_clock,
        lay_out=machine.fake_clocks,
        moves_clocks=True,
    ),
    Fault("slow", chaos.slow_targets, amount=2),
    Fault("resets", chaos.reset_connections, amount=3),
    Fault("lanes", chaos.disturb_lanes, amount=20, kinds=LANE_KINDS, bundle=LANES),
    CLUSTER,
    Fault(
        "wait-real",
        chaos.disturb_sleep,
        amount=600,
        kinds=SLEEPERS,
        sleep_seconds_max=600,
        events_max=300,
        is_long=True,
    ),
)

SHORT: Final = Fault("short", chaos.strike_all, amount=1)
