"""What a process uses, read from /proc: memory, processor time, children."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figures:
    """One process at one moment."""

    resident_mib: float
    cpu_seconds: float

    @classmethod
    def of(cls, pid: int) -> Self:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        # The name, which may hold spaces, stands in brackets; user and system time are 14 and 15.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / _MIB, ticks / _TICKS)


def children_of(pid: int) -> dict[int, str]:
    """Give the names of a process's children by their ids."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/comm").read_text().strip() for child in listed}
