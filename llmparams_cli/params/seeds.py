"""Seeds have 32 bits, and their highest number is llama.cpp's sign for 'draw one'."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmparams_cli.params.settings import Settings

DRAW_ONE = 2**32 - 1
MAX_SEED = DRAW_ONE - 1


def after(seed: int, steps: int) -> int:
    """The seed so many steps on; behind the highest comes 0."""
    return (seed + steps) % DRAW_ONE


def drawn() -> int:
    """A really random one."""
    return int.from_bytes(os.urandom(4), "little") % DRAW_ONE


def in_use(settings: Settings) -> int:
    """The seed as set, or a really random one for -1."""
    seed = int(settings["seed"])
    return seed if seed >= 0 else drawn()
