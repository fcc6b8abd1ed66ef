"""A model taken apart by its header alone: what its weights and biases are for, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from llmparams_cli.models.gguf import Tensor

# What tensors are for, by their names without layer and suffix, in the order in which they are
# shown; the first that matches counts. A norm is a norm, whatever it belongs to.
KINDS = (
    ("embeddings", r"(.*\.)?(token|position|per_layer_token|patch|class)_embd(\.\d)?|token_types"),
    ("attention q", r"attn_q(_[ab])?"),
    ("attention k", r"attn_k(_b)?"),
    ("attention v", r"attn_v(_b)?"),
    ("attention q k v", r"attn_q?kv(_.*)?"),
    ("attention output", r"attn_o(ut(put)?)?(_[ab])?"),
    ("attention, other", r"(cross_)?attn_.*|indexer.*"),
    ("router", r"ffn_gate_inp.*|exp_probs_b.*|ffn_gate_tid2eid"),
    ("experts gate", r"ffn_gate(_up)?_(ch)?exps|ffn_gate\.\d+"),
    ("experts up", r"ffn_up_(ch)?exps|ffn_up\.\d+"),
    ("experts down", r"ffn_down_(ch)?exps|ffn_down\.\d+"),
    ("shared experts", r"ffn_.*_shexp"),
    ("feed-forward gate", r"ffn_gate"),
    ("feed-forward up", r"ffn_up"),
    ("feed-forward down", r"ffn_down"),
    ("feed-forward, other", r"ffn_?.*"),
    ("state space", r"ssm_.*"),
    ("recurrence", r"(time|channel)_mix_.*"),
    ("convolution", r".*conv.*"),
    ("norms", r""),
    ("output", r"output|cls.*"),
    ("projector", r"mm\..*|resampler\..*"),
    ("rope factors", r"rope_(freqs|factors_.*)"),
    ("other", r".*"),
)
_KINDS = tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in KINDS)
_NORM = re.compile(r"norm|(^|_)ln\d?(_|$)")
ORDER = {kind: place for place, (kind, _) in enumerate(KINDS)}
# blk.3.attn_q.weight; enc.blk.3.… of an encoder; v.blk.3.… of an image part; ….lora_a of an adapter
_NAME = re.compile(r"(?:(?P<tower>.*?)\.?\bblk\.(?P<layer>\d+)\.)?(?P<rest>.*)", re.DOTALL)
_SUFFIX = re.compile(r"\.(weight|bias|scale|lora_[ab])(?=\.|$)")


class Place(NamedTuple):
    """Where a tensor belongs: `layer` is None outside the layers; `tower` is empty in most models,
    'enc' or 'dec', 'v' (images) or 'a' (audio) where layers stand in several stacks.
    """

    kind: str
    layer: int | None
    tower: str
    is_bias: bool


@dataclass(frozen=True)
class Part:
    """The weights and biases of one kind; `types` are how they are stored, most bytes first."""

    kind: str
    tensors: int
    weights: int
    biases: int
    bytes: int
    types: tuple[str, ...]

    @property
    def parameters(self) -> int:
        return self.weights + self.biases


@dataclass(frozen=True)
class Layers:
    """Layers that have the same parts. `each` are the parts of one of them, `bytes` of them all."""

    tower: str
    numbers: tuple[int, ...]
    each: tuple[Part, ...]
    bytes: int

    @property
    def weights(self) -> int:
        """In one layer."""
        return sum(part.weights for part in self.each)

    @property
    def biases(self) -> int:
        """In one layer."""
        return sum(part.biases for part in self.each)


@dataclass(frozen=True)
class Anatomy:
    """All parameters of a model: by kind, by layer, and outside the layers."""

    weights: int
    biases: int
    bytes: int
    parts: tuple[Part, ...]
    layers: tuple[Layers, ...]
    outside: tuple[Part, ...]

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def bits_per_parameter(self) -> float:
        return self.bytes * 8 / self.parameters if self.parameters else 0.0


def anatomy(tensors: Iterable[Tensor]) -> Anatomy:
    """Sort the tensors of a model by what they are for."""
    placed = [(place(tensor.name), tensor) for tensor in tensors]
    parts = _parts(placed)
    inside = [each for each in placed if each[0].layer is not None]
    return Anatomy(
        sum(part.weights for part in parts),
        sum(part.biases for part in parts),
        sum(part.bytes for part in parts),
        parts,
        _layers(inside),
        _parts([each for each in placed if each[0].layer is None]),
    )


def place(name: str) -> Place:
    """What a tensor of this name is for."""
    found = _NAME.fullmatch(name)
    assert found is not None  # every name matches
    kind = _kind(_SUFFIX.sub("", found["rest"]))
    layer = None if found["layer"] is None else int(found["layer"][:9])
    return Place(kind, layer, found["tower"] or "", name.endswith(".bias"))


@lru_cache(maxsize=1024)
def _kind(base: str) -> str:
    if _NORM.search(base):
        return "norms"
    return next(kind for kind, pattern in _KINDS if pattern.fullmatch(base))


def _parts(placed: Iterable[tuple[Place, Tensor]]) -> tuple[Part, ...]:
    """The tensors by kind, in the order of the table of kinds."""
    kinds: dict[str, list[tuple[Place, Tensor]]] = {}
    for each in placed:
        kinds.setdefault(each[0].kind, []).append(each)
    return tuple(_part(kind, kinds[kind]) for kind in sorted(kinds, key=ORDER.__getitem__))


def _part(kind: str, placed: list[tuple[Place, Tensor]]) -> Part:
    sizes: dict[str, int] = {}
    for _, tensor in placed:
        sizes[tensor.type.name] = sizes.get(tensor.type.name, 0) + tensor.bytes
    return Part(
        kind,
        len(placed),
        sum(tensor.elements for place, tensor in placed if not place.is_bias),
        sum(tensor.elements for place, tensor in placed if place.is_bias),
        sum(sizes.values()),
        tuple(sorted(sizes, key=sizes.__getitem__, reverse=True)),
    )


def _layers(placed: Iterable[tuple[Place, Tensor]]) -> tuple[Layers, ...]:
    """Group the layers by what they have, whatever types that is stored in."""
    layers: dict[tuple[str, int], list[tuple[Place, Tensor]]] = {}
    for each in placed:
        layers.setdefault((each[0].tower, each[0].layer or 0), []).append(each)
    groups: dict[Any, list[int]] = {}
    parts = {key: _parts(layers[key]) for key in sorted(layers)}
    for (tower, number), own in parts.items():
        alike = tuple((part.kind, part.weights, part.biases) for part in own)
        groups.setdefault((tower, alike), []).append(number)
    return tuple(
        Layers(
            tower,
            tuple(numbers),
            parts[tower, numbers[0]],
            sum(part.bytes for number in numbers for part in parts[tower, number]),
        )
        for (tower, _), numbers in groups.items()
    )
