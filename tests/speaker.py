"""Models that say what a test wants: real draws from real logits, of weights that know one text.

A llama model of one layer that adds nothing: the embedding of each token of the text is a dimension
of its own, and the output weights lead from there to the token behind it. So the model continues
any prompt that ends like the text's beginning, and draws each next token by the last one alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from models import CONTROL, USER_DEFINED, write_llama

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.params.settings import resolve
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.rendering import prompt

SURE = 8.0  # logit of the next token; all others have 0
WIDTH = 64


def tokenizer(
    file: Path, *, control: Sequence[str] = (), defined: Sequence[str] = ()
) -> dict[str, Any]:
    """The tokenizer's metadata of a vocabulary file, with further tokens."""
    fields = gguf.GGUFReader(file).fields
    found = {
        key: field.contents()
        for key, field in fields.items()
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
    path: Path, metadata: Mapping[str, Any], template: str, *texts: str, context: int = 4096
) -> Path:
    """Write a model that continues a prompt of this template with the first text, and what ends
    like the beginning of another text with the rest of that.
    """
    _write(path, metadata, template, {}, context)  # its tokenizer tells the tokens
    with vocabulary(path) as model:
        asked = Request((Message("user", "Hi"),), resolve([]))
        before = prompt(model, template, asked, lambda _note: None).tokens[-1:]
        follows: dict[int, int] = {}
        for text in texts:
            tokens = before + model.tokenize(text, special=True, goes_on=True)
            before = []
            for one, other in pairwise(tokens):
                if follows.setdefault(one, other) != other:
                    raise ValueError(f"{model.name(one)!r} has two successors")
    return _write(path, metadata, template, follows, context)


def _write(
    path: Path, metadata: Mapping[str, Any], template: str, follows: dict[int, int], context: int
) -> Path:
    size = len(metadata["tokenizer.ggml.tokens"])
    if len(follows) > WIDTH:
        raise ValueError(f"the texts have more than {WIDTH} tokens")
    embedding, output = (np.zeros((size, WIDTH), np.float16) for _ in range(2))
    for dimension, (token, successor) in enumerate(follows.items()):
        embedding[token, dimension] = 1
        # The norm makes a one of the dimension into the root of the width.
        output[successor, dimension] = SURE / np.sqrt(WIDTH)
    nothing = np.zeros((WIDTH, WIDTH), np.float32)
    others = {"tokenizer.ggml.merges": None, "tokenizer.ggml.eos_token_id": None}
    return write_llama(
        path,
        layers=1,
        width=WIDTH,
        heads=1,
        kv_heads=1,
        feed_forward=WIDTH,
        context=context,
        vocabulary=size,
        metadata=others | {**metadata},
        chat_template=template,
        tensors={
            "token_embd.weight": embedding,
            "output.weight": output,
            "blk.0.attn_output.weight": nothing,
            "blk.0.ffn_down.weight": nothing,
            "output_norm.weight": np.ones(WIDTH, np.float32),
        },
    )
