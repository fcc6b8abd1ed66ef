"""Models that say what a test wants: real draws from real logits, of weights that know one text.

A llama model of one layer: the embedding of each token of the text is a dimension of its own, and
the output weights lead from there to the token behind it. So the model continues any prompt that
ends like the text's beginning, and draws each next token by the last one alone. Its attention looks
at all tokens alike, for one of them: once that has been read, other successors win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from models import CONTROL, USER_DEFINED, write_llama

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import read_header
from llmparams_cli.params.settings import resolve
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.rendering import prompt

WIDTH = 64  # dimensions: one for each token that has a successor, the last one for the memory
SURE = 80.0  # logit of the next token; all others have 0
LATER = 78.0  # the same for one that wins once the token to remember has been read
REMEMBERED = 2000.0  # what it gains by that, divided by the number of tokens read


def tokenizer(
    file: Path, *, control: Sequence[str] = (), defined: Sequence[str] = ()
) -> dict[str, Any]:
    """The tokenizer's metadata of a vocabulary file, with further tokens."""
    header = read_header(file)  # the reader of the `gguf` package takes seconds for a vocabulary
    found = {
        key: header.array(key) if isinstance(value, Array) else value
        for key, value in header.metadata.items()
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template"
    }
    more = [(USER_DEFINED, name) for name in defined] + [(CONTROL, name) for name in control]
    known = set(found["tokenizer.ggml.tokens"])
    more = [(kind, name) for kind, name in more if name not in known]
    found["tokenizer.ggml.tokens"] = [*found["tokenizer.ggml.tokens"], *(name for _, name in more)]
    kinds = [*found["tokenizer.ggml.token_type"], *(kind for kind, _ in more)]
    found["tokenizer.ggml.token_type"] = [int(kind) for kind in kinds]
    if "tokenizer.ggml.scores" in found:
        scores = [*found["tokenizer.ggml.scores"], *[0.0] * len(more)]
        found["tokenizer.ggml.scores"] = [float(score) for score in scores]
    return found


def write_speaker(
    path: Path,
    metadata: Mapping[str, Any],
    template: str,
    *texts: str,
    memory: str = "",
    later: Sequence[str] = (),
) -> Path:
    """Write a model that continues a prompt of this template with the first text, and what ends
    like the beginning of another text with the rest of that. Once the token `memory` has been read,
    the texts `later` count before them.
    """
    _write(path, metadata, template, {}, {})  # its tokenizer tells the tokens
    with vocabulary(path) as model:
        asked = Request((Message("user", "Hi"),), resolve([]))
        last = prompt(model, template, asked, lambda _note: None).tokens[-1:]

        def tokens(text: str) -> list[int]:
            return list(model.tokenize(text, special=True, goes_on=True))

        first, *others = map(tokens, texts)
        follows = _successors([last + first, *others])
        then = _successors(map(tokens, later))
        seen = tokens(memory)[0] if memory else None
    return _write(path, metadata, template, follows, then, seen)


def _successors(chains: Iterable[list[int]]) -> dict[int, int]:
    follows: dict[int, int] = {}
    for one, other in (pair for chain in chains for pair in pairwise(chain)):
        if follows.setdefault(one, other) != other:
            raise ValueError(f"token {one} has two successors")
    return follows


def _write(
    path: Path,
    metadata: Mapping[str, Any],
    template: str,
    follows: dict[int, int],
    later: dict[int, int],
    seen: int | None = None,
) -> Path:
    size = len(metadata["tokenizer.ggml.tokens"])
    places = {token: place for place, token in enumerate({**follows, **later})}
    if seen is not None:
        places.setdefault(seen, len(places))
    if len(places) >= WIDTH:
        raise ValueError(f"the texts have {WIDTH} tokens or more")
    root = np.sqrt(WIDTH)  # the norm makes this of the one dimension that is not 0
    embedding, output = (np.zeros((size, WIDTH), np.float16) for _ in range(2))
    for token, place in places.items():
        embedding[token, place] = 1
    for token, successor in follows.items():
        output[successor, places[token]] = SURE / root
    for token, successor in later.items():
        output[successor, places[token]] = LATER / root
        output[successor, -1] = REMEMBERED / root
    nothing = np.zeros((WIDTH, WIDTH), np.float32)
    value, to_memory = nothing.copy(), nothing.copy()
    if seen is not None:
        value[0, places[seen]], to_memory[-1, 0] = 1 / root, 1
    others = {"tokenizer.ggml.merges": None, "tokenizer.ggml.eos_token_id": None}
    return write_llama(
        path,
        layers=1,
        width=WIDTH,
        heads=1,
        kv_heads=1,
        feed_forward=WIDTH,
        context=4096,
        vocabulary=size,
        metadata=others | {**metadata},
        chat_template=template,
        tensors={
            "token_embd.weight": embedding,
            "output.weight": output,
            "blk.0.attn_norm.weight": np.ones(WIDTH, np.float32),
            "blk.0.attn_q.weight": nothing,
            "blk.0.attn_k.weight": nothing,
            "blk.0.attn_v.weight": value,
            "blk.0.attn_output.weight": to_memory,
            "blk.0.ffn_down.weight": nothing,
            "output_norm.weight": np.ones(WIDTH, np.float32),
        },
    )
