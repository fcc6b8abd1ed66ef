"""Whole chunks of text, read by themselves: all the logits for their later tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
        parts = []
        # The last token is read although nothing follows it: kernels round by the number of tokens
        # in a call, and llama-perplexity reads it, too.
        wanted = range(chunk.first - 1, len(chunk.tokens) - 1)
        for end, count in read(context, batch_size, chunk, wanted, control):
            if count:
                pointer = llama().llama_get_logits(context.handle)
                part = np.ctypeslib.as_array(pointer, shape=(count, context.model.n_vocab))
                # The next call overwrites it.
                parts.append(part.copy() if end < len(chunk.tokens) else part)
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)


def read(
    context: Context, batch_size: int, chunk: Chunk, wanted: range, control: Control
) -> Iterator[tuple[int, int]]:
    """Read a chunk into sequence 0, call by call: the place where each ends, and how many rows of
    logits it has, which are those of the places `wanted`.
    """
    context.drop(0)
    for start in range(0, len(chunk.tokens), batch_size):
        tokens = chunk.tokens[start : start + batch_size]
        places = range(start, start + len(tokens))
        rows = [place - start for place in places if place in wanted]
        batch = [(token, place, 0) for token, place in zip(tokens, places, strict=True)]
        decode(context, batch, rows, control)
        yield places.stop, len(rows)


def decode(
    context: Context, batch: Sequence[tuple[int, int, int]], rows: Iterable[int], control: Control
) -> None:
    """As `Context.decode`; raises KeyboardInterrupt after Ctrl-C."""
    if not context.decode(batch, rows) or control.stop:
        raise KeyboardInterrupt
