"""Tells when other processes take what the tests would need."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from llmparams_cli.analysis.benchmark import Measured
from llmparams_cli.backends.llama.machine import Watch
from llmparams_cli.env import Environment

GLANCE = 0.2  # seconds of looking at the processors before the first test
FREE = 0.15  # processors that others may take: every machine does something


def warn_before(env: Environment, threads: int) -> None:
    """Look at the machine for a moment; a note says if it is too busy for so many threads."""
    others = _others_now()
    if others is not None and disturbs(others, threads):
        env.note(f"{_taken(others)}: all rates will be too low")


def warn_after(env: Environment, results: Sequence[Measured]) -> None:
    """A note says if tests were disturbed."""
    found = [
        each for each in results if each.others is not None and disturbs(each.others, each.threads)
    ]
    if found:
        most = max(each.others or 0.0 for each in found)
        many = f"{len(found)} of {len(results)} tests" if len(results) > 1 else "the test"
        env.note(f"{_taken(most, 'took')} during {many}: their rates are too low")


def disturbs(others: float, threads: int) -> bool:
    """Is there less than a processor for each thread?"""
    return others > FREE and others + threads > cpus() + FREE


def cpus() -> int:
    """All processors of the machine, which is what others take them of."""
    return os.cpu_count() or 1


def _taken(others: float, verb: str = "take") -> str:
    return f"other processes {verb} {others:.1f} of {cpus()} processors"


def _others_now() -> float | None:
    watch = Watch()
    time.sleep(GLANCE)
    if taken := watch.taken():
        return taken.others
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
