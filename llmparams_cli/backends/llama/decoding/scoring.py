"""Teacher forcing: the logits from which each token of a given text would be drawn.

The text is read in blocks like a prompt, many tokens a call. That is several times faster than
token by token, and moves the logits as much as prompts and generated tokens differ anyway.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from llmparams_cli.backends.llama.decoding.answer import refuse_nan
from llmparams_cli.backends.llama.decoding.pieces import BLOCK, next_piece
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.interrupt import Control

OUTPUTS = BLOCK  # rows of logits in a call, at most; each has 4 bytes for every token there is


def score(
    slots: Slots,
    text: Sequence[int],
    start: int,
    recording: Recording,
    control: Control,
    progress: Callable[[float, int], None],
    time_limit: float,
) -> Stop | None:
    """Record a row of logits for each token of `text` from `start` on. The reason to stop, if it
    did not get to the end.
    """
    context = slots.context
    body = len(text) - 1  # nothing follows the last token: its logits are not wanted
    slot = slots.take(text[:body])
    # Only what comes before the first row may be kept: the logits of kept tokens are gone.
    slots.seat(slot, text[:start], start - 1)
    slots.keep_blocks(slot)
    deadline = time.perf_counter() + time_limit if time_limit > 0 else math.inf
    try:
        while slot.held < body:
            if control.stop:
                return control.stop
            left = deadline - time.perf_counter()
            if left <= 0:
                return Stop(StopReason.TIME_LIMIT, f"{time_limit:g} s")
            length = _piece(slots, slot.held, body, start - 1)
            places = range(slot.held, slot.held + length)
            rows = [place - slot.held for place in places if place >= start - 1]
            batch = [(text[place], place, slot.sequence) for place in places]
            with control.alarm(left if deadline < math.inf else None):
                done = context.decode(batch, rows)
            if not done:
                slots.restore(slot)
                continue  # to the check that says why
            for row in rows:
                logits = context.logits(row)
                refuse_nan(context.model, logits)
                recording.add(logits)
                # The logits at a position are those for the token after it.
                recording.drawn.append(text[slot.held + row + 1])
            slot.push(text[slot.held : slot.held + length])
            slot.body = slot.held
            progress(slot.held / body, body)
    finally:
        slots.release(slot)
    return None


def _piece(slots: Slots, held: int, body: int, first: int) -> int:
    """Many blocks at a time before the first row that is wanted, one block at a time from there."""
    before = (first - held) // slots.block * slots.block
    return next_piece(held, body, slots.block, min(slots.context.piece_size, max(0, before)))
