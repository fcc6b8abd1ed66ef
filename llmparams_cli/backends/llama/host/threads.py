"""How many threads compute, where the user leaves that open: as many as other processes leave free.

llama.cpp's threads wait for each other at every operation, and while they wait they spin. One that
has lost its processor to another process for a while holds all others up: beside four busy ones,
two threads took twenty times as long as one alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.backends.llama.host.busy import Watch
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.params.settings import Settings

LOAD = Path("/proc/loadavg")
INTERVAL = 0.5  # seconds over which is counted what others take
RECENT = 5.0  # seconds for which a look counts


class Threads:
    """Looks at the other processes now and then, from its making on."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, float]] = []  # when, and how many others there were
        self._watch = Watch()
        self._looked = time.monotonic()
        self.look()

    def look(self) -> None:
        """One look more: whoever wants a processor each time has it."""
        now = time.monotonic()
        kept = [each for each in self._looks if now - each[0] < RECENT]
        self._looks = [*kept, (now, _waiting())]

    def settle(self, context: Context, settings: Settings, note: Callable[[str], None]) -> None:
        """Let as many threads compute as have a processor of their own, unless the user says how
        many; `note` is told if they are fewer than there could be.
        """
        if settings["threads"]:
            return
        self.look()
        free, usable = self.free(), hardware.usable_cpus()
        context.use_threads(free, settings["threads_batch"] or free)
        if free < usable:
            note(
                f"other processes want {self.others:.0f} of {hardware.cpus()} processors: "
                f"{free} of {usable} threads compute (--threads {usable} insists)"
            )

    def keep_pace(self, context: Context, settings: Settings) -> None:
        """The same in the course of long work, where the bits are the same on any number."""
        is_free = not settings["threads"] and context.sequences > 1 and not context.shared_cells
        if is_free and (free := self.free_now()):
            context.use_threads(free, settings["threads_batch"] or free)

    @property
    def others(self) -> float:
        """Processors that others want, by the last looks."""
        return min(others for _, others in self._looks)

    def free(self) -> int:
        """How many threads have a processor of their own, by these looks."""
        return free_beside(self.others)

    def free_now(self) -> int | None:
        """The same by what others have taken since it was asked last; None too soon after that."""
        if time.monotonic() - self._looked < INTERVAL:
            return None
        taken, self._watch = self._watch.taken(), Watch()
        self._looked = time.monotonic()
        return free_beside(taken.others) if taken else None


def free_beside(others: float) -> int:
    """How many of the usable processors are free, half of one being one, where other processes keep
    so many of the machine's busy.
    """
    usable = hardware.usable_cpus()
    # Where only some can be used, others may be busy on any.
    share = usable / hardware.cpus()
    return max(1, min(usable, int(usable - others * share + 0.5)))


def _waiting() -> float:
    """How many threads of other processes run or want to; 0 where the system does not tell."""
    try:
        running = LOAD.read_text().split()[3].partition("/")[0]
        return max(0.0, float(running) - 1)  # without this one
    except (OSError, ValueError, IndexError):
        return max(0.0, os.getloadavg()[0] - 1) if hasattr(os, "getloadavg") else 0.0
