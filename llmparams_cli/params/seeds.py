"""Seeds: 32-bit numbers, of which llama.cpp reserves the highest for 'draw one at random'."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmparams_cli.params.settings import Settings

DRAW_ONE = 2**32 - 1  # LLAMA_DEFAULT_SEED in llama.h
MAX_SEED = DRAW_ONE - 1


def after(seed: int, steps: int) -> int:
    """The seed `steps` after this one; after the highest comes 0."""
    return (seed + steps) % DRAW_ONE


def drawn() -> int:
    """A seed from the operating system's random numbers."""
    return int.from_bytes(os.urandom(4), "little") % DRAW_ONE


def in_use(settings: Settings) -> int:
    """The seed that is set, or a random one where that is -1."""
    seed = int(settings["seed"])
    return seed if seed >= 0 else drawn()
