"""Tells when other processes take what the tests would need."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from llmparams_cli.analysis.benchmark import Measured, disturbs
from llmparams_cli.backends.llama.machine import Watch, hardware
from llmparams_cli.env import Environment

GLANCE = 0.2  # seconds of looking at the processors before the first test


def warn_before(env: Environment, threads: int) -> None:
    """Look at the machine for a moment; a note says if it is too busy for so many threads."""
    others = _others_now()
    if others is not None and disturbs(others, threads, hardware.cpus()):
        env.note(f"{_taken(others, 'take')}: all rates will be too low")


def disturbed(results: Sequence[Measured]) -> str:
    """What disturbed the tests, in words; empty if nothing did."""
    found = [each for each in results if each.is_disturbed]
    if not found:
        return ""
    most = max(each.others or 0.0 for each in found)
    many = f"{len(found)} of {len(results)} tests" if len(results) > 1 else "the test"
    rates = "their rates are" if len(found) > 1 else "its rate is"
    return f"{_taken(most, 'took')} during {many}: {rates} too low"


def _taken(others: float, verb: str) -> str:
    return f"other processes {verb} {others:.1f} of {hardware.cpus()} processors"


def _others_now() -> float | None:
    watch = Watch()
    time.sleep(GLANCE)
    if taken := watch.taken():
        return taken.others
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
