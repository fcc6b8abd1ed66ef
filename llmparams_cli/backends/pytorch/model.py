"""A GGUF file as a model of transformers', each tensor beside the parameter that it became."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.pytorch import file as files
from llmparams_cli.backends.pytorch.agreement import FREQUENCIES, OTHERWISE, agree, refusal
from llmparams_cli.backends.pytorch.file import F32File
from llmparams_cli.backends.pytorch.libraries import quiet
from llmparams_cli.backends.pytorch.ways import LESS_ONE, Way, recognised
from llmparams_cli.errors import BackendError
from llmparams_cli.models.gguf import Header

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array


@dataclass(frozen=True)
class Weight:
    """A tensor of the file, by its name there, and the parameter of that module that it became.

    `before`: what the two were at first, where the way there loses bits.
    """

    name: str
    parameter: Any
    module: str
    way: Way
    shape: tuple[int, ...]
    before: tuple[Array, Array] | None = None

    def array(self) -> Array:
        """The tensor as it is now."""
        import numpy as np

        now = self.parameter.detach().cpu().numpy()
        stored = self.way.stored(now.reshape(_lengths(now.shape)))
        if self.before:
            original, loaded = self.before
            stored = np.where(now == loaded, original, stored)
        return np.array(stored.reshape(self.shape), np.float32, order="C")


@dataclass(frozen=True)
class Model:
    module: Any
    weights: Mapping[str, Weight]


def load(path: Path) -> Model:
    """Raises BackendError for a model that transformers cannot read, or reads in part."""
    file = files.read(path)
    module = _loaded(path, file)
    weights = {weight.name: weight for weight in _weights(module, file)}
    _refuse_uncovered(module, weights)
    agree(module, file)
    return Model(module, weights)


def _loaded(path: Path, file: F32File) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    # An empty folder: beside the file itself there may be others that transformers would read.
    with TemporaryDirectory() as folder, quiet(), files.read_for_transformers(file):
        try:
            module = AutoModelForCausalLM.from_pretrained(
                folder,
                gguf_file=str(path.absolute()),
                dtype=torch.float32,
                local_files_only=True,
            )
        except Exception as error:  # whatever it stumbles over
            raise refusal(file.header, f"transformers cannot load it: {error}") from error
    for part in module.modules():
        if isinstance(part, torch.nn.Embedding):
            part.padding_idx = None  # else that token would learn nothing
    return module


def _weights(module: Any, file: F32File) -> Iterator[Weight]:
    parameters = dict(module.named_parameters(remove_duplicate=False))
    names = _names(parameters, file.header)
    ways: dict[str, Way] = {}
    # A matrix before its bias.
    for name in sorted(file.tensors, key=lambda name: (name.endswith(".bias"), name)):
        if name == FREQUENCIES:
            continue
        if name not in names:
            raise refusal(file.header, f"transformers has no place for {name!r}")
        stored, parameter = file.tensors[name], parameters[names[name]]
        loaded = parameter.detach().numpy()
        beside = ways.get(name.removesuffix("bias") + "weight")
        way = recognised(stored, loaded, _heads(file.header, name), beside)
        if way is None:
            raise refusal(file.header, f"transformers stores {name!r} in an unknown way")
        ways[name] = way
        before = (stored.copy(), loaded.copy()) if way.kind == LESS_ONE else None
        yield Weight(name, parameter, names[name].rpartition(".")[0], way, stored.shape, before)


def _names(parameters: Mapping[str, Any], header: Header) -> dict[str, str]:
    """The names of transformers' parameters by those of the file's tensors."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    numbers = {name: number for number, name in MODEL_ARCH_NAMES.items()}
    if header.architecture not in numbers:
        raise refusal(header, "the package gguf does not know it")
    known = get_tensor_name_map(numbers[header.architecture], header.block_count)
    names = {}
    for name in parameters:
        stem, _, ending = name.rpartition(".")
        stem, ending = (stem, f".{ending}") if ending in ("weight", "bias") else (name, "")
        # Some are known by their names in the part of a model that has no output.
        parts = stem.split(".")
        tails = (".".join(parts[start:]) for start in range(len(parts)))
        if found := next(filter(None, map(known.get_name, tails)), None):
            names[found + ending] = name
    return names


def _heads(header: Header, name: str) -> frozenset[int]:
    if ".attn_q." not in name and ".attn_k." not in name:
        return frozenset()
    return frozenset({header.head_count, header.head_count_kv} - {0})


def _refuse_uncovered(module: Any, weights: Mapping[str, Weight]) -> None:
    covered = {id(weight.parameter) for weight in weights.values()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in covered:
            raise BackendError(f"no tensor of the file belongs to PyTorch's {name!r}", OTHERWISE)


def _lengths(shape: tuple[int, ...]) -> list[int]:
    return [length for length in shape if length != 1]
