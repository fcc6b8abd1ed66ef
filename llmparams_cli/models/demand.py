"""What a step of a model needs, by its header: bytes to be read, products to be computed."""

from __future__ import annotations

from dataclasses import dataclass

from llmparams_cli.models.gguf import Header, Tensor
from llmparams_cli.protocol import Work

# Tables of which a token takes a row; all others are multiplied with.
TABLES = ("token_embd.weight", "per_layer_token_embd.weight", "position_embd.weight")
EMBEDDINGS, OUTPUT = "token_embd.weight", "output.weight"
WORTH = 1 << 19  # bytes: threads would wait for each other most of the time at a smaller matrix
RARE = 0.02  # share of a type whose rate need not be known


@dataclass(frozen=True)
class Demand:
    """For each token of a piece of work: bytes that must come from memory, and products of two
    numbers: of weights by the weights' type, and of what attention looks at.
    """

    bytes: float
    weights: dict[str, float]
    attention: float

    @property
    def products(self) -> float:
        """All of them."""
        return sum(self.weights.values()) + self.attention

    @property
    def types(self) -> list[str]:
        """The types that matter, the most common one first."""
        order = sorted(self.weights, key=lambda type: -self.weights[type])
        return [type for type in order if self.weights[type] >= RARE * self.products]


def demand(header: Header, work: Work, piece: int, type_k: str, type_v: str) -> Demand:
    """What each token of the work needs at least, with `piece` tokens of a prompt computed at once
    and a cache of these types.

    Weights are read once for all tokens that are computed together, the cache of a sequence by each
    of its own steps. Only the last token of a prompt needs logits.
    """
    together = columns(work, piece)
    behind = _behind(header, work)
    # A piece of a prompt reads the cache once, a token of an answer by itself.
    reads = 1 if work.written else min(work.read, piece)
    cache = header.kv_bytes_per_token(type_k, type_v) * behind / reads
    output = bool(work.written)
    weights = _bytes(header, together, output=output) / together
    return Demand(weights + cache, _products(header, output=output), _attention(header, behind))


def columns(work: Work, piece: int) -> int:
    """How many tokens are computed at once."""
    return min(work.read * work.width, piece) if work.read else work.width


def weight_bytes(header: Header) -> int:
    """What a step reads of the weights for one token."""
    return round(_bytes(header, 1, output=True))


def matrix(header: Header, type: str) -> str | None:
    """The name of the matrix of this type by which the arithmetic of a model is measured: of those
    that are worth it the smallest, which stays in the processor's cache. None: there is no plain
    matrix.
    """
    ours = sorted(
        (each.bytes, each.name)
        for each in _read(header, output=True)
        if each.type.name == type and len(each.shape) == 2
    )
    found = next((name for size, name in ours if size >= WORTH), None)
    return found or (ours[-1][1] if ours else None)


def _bytes(header: Header, tokens: int, *, output: bool) -> float:
    """What is read of the weights, once for so many tokens."""
    return sum(
        each.bytes * _share_of_experts(header, each, tokens)
        for each in _read(header, output=output)
    )


def _products(header: Header, *, output: bool) -> dict[str, float]:
    """Products with weights, for one token, by the type of the weights."""
    found: dict[str, float] = {}
    for each in _read(header, output=output):
        if len(each.shape) > 1:
            count = each.elements * _share_of_experts(header, each, 1)
            found[each.type.name] = found.get(each.type.name, 0.0) + count
    return found


def _read(header: Header, *, output: bool) -> list[Tensor]:
    """The tensors that are multiplied with: with `output`, the matrix that gives the logits is one
    of them, and where a file has none, the embeddings are that matrix.
    """
    last = OUTPUT if any(each.name == OUTPUT for each in header.tensors) else EMBEDDINGS
    tables = {*TABLES, OUTPUT} - ({last} if output else set())
    return [each for each in header.tensors if each.name not in tables]


def _share_of_experts(header: Header, tensor: Tensor, tokens: int) -> float:
    """The share of a tensor that so many tokens use; if they choose their experts by chance."""
    count = header.hyperparameter("expert_count")
    if not count or len(tensor.shape) < 3 or "_exps" not in tensor.name:
        return 1.0
    used = header.hyperparameter("expert_used_count", count) / count
    return float(1 - (1 - used) ** tokens)


def _attention(header: Header, behind: float) -> float:
    """Products of queries, keys and values with so many tokens in the cache."""
    lengths = header.key_length + header.value_length
    return header.block_count * header.head_count * lengths * behind


def _behind(header: Header, work: Work) -> float:
    """How many tokens of the cache a token looks at, on average and at least: where some layers
    have a window, this counts as if all had it.
    """
    behind = work.depth + (work.read + work.written) / 2
    window = header.hyperparameter("attention.sliding_window")
    return min(behind, window) if window else behind
