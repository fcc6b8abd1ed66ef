"""A given text as the answer: the logits from which each of its tokens would be drawn.

Read in blocks like a prompt, many tokens a call: several times faster than token by token, and
by as much away in the last bits as a prompt is from generated tokens.
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

OUTPUTS = BLOCK  # rows of logits in a call at most: each takes 4 bytes a token of the vocabulary


def score(
    slots: Slots,
    text: Sequence[int],
    start: int,
    recording: Recording,
    control: Control,
    progress: Callable[[float], None],
    time_limit: float,
) -> Stop | None:
    """Record a row for each token of `text` from `start` on; why not all of them, if so."""
    context = slots.context
    body = len(text) - 1
    slot = slots.take(text[:body])
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
                continue
            for row in rows:
                logits = context.logits(row)
                refuse_nan(context.model, logits)
                recording.add(logits)
                recording.drawn.append(text[slot.held + row + 1])
            slot.push(text[slot.held : slot.held + length])
            slot.body = slot.held
            progress(slot.held / body)
    finally:
        slots.release(slot)
    return None


def _piece(slots: Slots, held: int, body: int, first: int) -> int:
    """A piece of many blocks before the first row that is wanted, of one block from there on."""
    before = (first - held) // slots.block * slots.block
    return next_piece(held, body, slots.block, min(slots.context.piece_size, max(0, before)))
