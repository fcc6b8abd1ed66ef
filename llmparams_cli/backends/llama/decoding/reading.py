"""Whole chunks of text, read by themselves: all the logits for their later tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.interrupt import Control
from llmparams_cli.protocol import Chunk


def matrices(
    context: Context, batch_size: int, chunks: Iterable[Chunk], control: Control
) -> Iterator[Any]:
    """See `Backend.logits`. Every chunk is read into sequence 0 of the context, from its start and
    `batch_size` tokens at a time.
    """
    import numpy as np

    for chunk in chunks:
        context.drop(0)
        parts = []
        # The last token is read although nothing follows it: kernels round by the number of tokens
        # in a call, and llama-perplexity reads it, too.
        count = len(chunk.tokens)
        for start in range(0, count, batch_size):
            places = range(start, min(start + batch_size, count))
            rows = [place - start for place in places if chunk.first - 1 <= place < count - 1]
            done = context.decode([(chunk.tokens[place], place, 0) for place in places], rows)
            if control.stop or not done:
                raise KeyboardInterrupt
            if rows:
                pointer = llama().llama_get_logits(context.handle)
                part = np.ctypeslib.as_array(pointer, shape=(len(rows), context.model.n_vocab))
                parts.append(part)
                if count - start > batch_size:  # the next call overwrites it
                    parts[-1] = part.copy()
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)
