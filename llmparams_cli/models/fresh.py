"""New llama models with random weights, to be trained from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.errors import UsageError
from llmparams_cli.models.gguf import Header, raw_entries
from llmparams_cli.models.gguf_written import pieces

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

TOKENIZER = "tokenizer."
DEVIATION = 0.02  # of the weights at the start, as in GPT-2
EPSILON, BASE, CONTEXT = 1e-5, 10_000.0, 2048
MULTIPLE = 32  # of a width, so that its rows can be quantised in blocks
MOST = 4_000_000_000  # bytes: what is made here is held in memory


@dataclass(frozen=True)
class Shape:
    """What a new model is built of. None: as many `kv_heads` as heads; for `feed_forward` a width
    of 8/3 of the hidden dimensions, as in Llama.
    """

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    kv_heads: int | None = None
    feed_forward: int | None = None

    def __str__(self) -> str:
        return f"{self.layers} layers, {self.hidden} hidden dimensions, {self.heads} heads"

    @property
    def width(self) -> int:
        """That of the feed-forward part."""
        return self.feed_forward or -(-8 * self.hidden // 3 // MULTIPLE) * MULTIPLE

    @property
    def head(self) -> int:
        """The dimensions of one head."""
        return self.hidden // self.heads

    def refuse_impossible(self) -> None:
        """Raise UsageError for a shape that no llama model can have."""
        kv_heads = self.kv_heads or self.heads
        if self.hidden % self.heads or self.head % 2:
            raise UsageError(
                f"--hidden {self.hidden} --heads {self.heads}: each head needs an even number of"
                " dimensions",
                f"--hidden {2 * self.heads * max(1, round(self.hidden / self.heads / 2))} has it",
            )
        if self.heads % kv_heads:
            raise UsageError(
                f"--kv-heads {kv_heads}: {self.heads} heads cannot share them evenly",
                "a number that divides --heads",
            )


def write_fresh(path: Path, shape: Shape, tokenizer: Header, seed: int) -> None:
    """Write a model of this shape in F32, with the vocabulary and chat template of another."""
    shape.refuse_impossible()
    entries = raw_entries(tokenizer.path, TOKENIZER)
    if not entries or not tokenizer.vocabulary_size:
        raise UsageError(f"{tokenizer.path} has no vocabulary", "--vocab from:MODEL names another")
    _refuse_large(shape, tokenizer.vocabulary_size)
    metadata = {
        "general.architecture": "llama",
        "general.name": f"a llama model of {shape}",
        "general.file_type": 0,
        "llama.block_count": shape.layers,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": shape.hidden,
        "llama.feed_forward_length": shape.width,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads or shape.heads,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "llama.rope.dimension_count": shape.head,
        "llama.rope.freq_base": BASE,
        "llama.vocab_size": tokenizer.vocabulary_size,
        **entries,
    }
    with path.open("wb") as file:
        file.writelines(pieces(metadata, _tensors(shape, tokenizer.vocabulary_size, seed)))


def _tensors(shape: Shape, vocabulary: int, seed: int) -> dict[str, NDArray[float32]]:
    """The weights at the start. The output has a matrix of its own: llama.cpp cannot train one that
    serves for the embeddings as well. What adds to the stream between layers starts smaller the
    more layers add to it (Radford et al. 2019, GPT-2).
    """
    import numpy as np

    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, deviation: float = DEVIATION) -> Any:
        return random.normal(0, deviation, (rows, columns)).astype(np.float32)

    hidden, width = shape.hidden, shape.width
    of_values = shape.head * (shape.kv_heads or shape.heads)
    added = DEVIATION / math.sqrt(2 * shape.layers)
    found = {"token_embd.weight": matrix(vocabulary, hidden)}
    for layer in range(shape.layers):
        parts = {
            "attn_norm": np.ones(hidden, np.float32),
            "attn_q": matrix(hidden, hidden),
            "attn_k": matrix(of_values, hidden),
            "attn_v": matrix(of_values, hidden),
            "attn_output": matrix(hidden, hidden, added),
            "ffn_norm": np.ones(hidden, np.float32),
            "ffn_gate": matrix(width, hidden),
            "ffn_up": matrix(width, hidden),
            "ffn_down": matrix(hidden, width, added),
        }
        found |= {f"blk.{layer}.{name}.weight": values for name, values in parts.items()}
    return {
        **found,
        "output_norm.weight": np.ones(hidden, np.float32),
        "output.weight": matrix(vocabulary, hidden),
    }


def _refuse_large(shape: Shape, vocabulary: int) -> None:
    a_layer = shape.hidden * (4 * shape.hidden + 3 * shape.width)
    size = 4 * (shape.layers * a_layer + 2 * vocabulary * shape.hidden)
    if size > MOST:
        raise UsageError(
            f"a model of {shape} has {size / 1e9:.0f} GB of weights in F32",
            "fewer --layers or --hidden dimensions can be trained here",
        )
