"""How much of the processors other processes take."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
LEAST = 0.15  # seconds: the system counts in hundredths
IDLE = (3, 4)  # columns of its first line: idle, and waiting for a disk
COUNTED_TWICE = 8  # from here on: what guests take is in the first columns already


@dataclass(frozen=True)
class Taken:
    """Processors that were busy on average, in this process and in all others."""

    own: float
    others: float


class Watch:
    """Looks on from its making on."""

    def __init__(self) -> None:
        self._began = self._now()

    def taken(self) -> Taken | None:
        """What was taken since; None where the system does not tell, or not so finely."""
        (wall, own, busy), (now, own_now, busy_now) = self._began, self._now()
        lasted = now - wall
        if busy is None or busy_now is None or lasted < LEAST:
            return None
        ours = (own_now - own) / lasted
        return Taken(ours, max(0.0, (busy_now - busy) / lasted - ours))

    def _now(self) -> tuple[float, float, float | None]:
        return time.monotonic(), time.process_time(), _busy_seconds()


def _busy_seconds() -> float | None:
    """All that the processors have worked since the start of the machine, or for other machines on
    the same hardware.
    """
    try:
        ticks = [int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return None
    busy = sum(count for column, count in enumerate(ticks[:COUNTED_TWICE]) if column not in IDLE)
    return busy / os.sysconf("SC_CLK_TCK")
