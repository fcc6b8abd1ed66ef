"""Prefill of the next prompt while the user is still typing it.

The tokens of an answer were decoded one by one. In the next prompt they are read again, in blocks
like any prompt, so that the logits are those of a run from its beginning. That takes about a tenth
of the time that writing them took, and need not wait for the rest of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.interrupt import Control


def read_ahead(slots: Slots, text: Sequence[int], control: Control) -> None:
    """Read the whole blocks of a prompt that begins with `text`, until `control` says stop."""
    body = len(text) - 1
    whole = body // slots.block * slots.block
    slot = slots.take(text[:body])
    try:
        if slots.match(slot, text[:body]) >= whole:
            return
        slots.seat(slot, text, body)
        slots.keep_blocks(slot)  # the next block must begin where a block begins
        while slot.held < whole and not control.stop:
            places = range(slot.held, slot.held + slots.block)
            batch = [(text[place], place, slot.sequence) for place in places]
            if not slots.context.decode(batch, []):
                slots.restore(slot)
                return
            slot.push([text[place] for place in places])
            # Kept as read, even if the rest never comes.
            slot.body = slot.held
    finally:
        slots.release(slot)
