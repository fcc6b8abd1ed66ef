"""A model and a smaller one that was made of it, or would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llmparams_cli.models.ggml_types import FILE_TYPE_NUMBERS, TENSOR_TYPES_BY_NAME
from llmparams_cli.models.gguf import DEFAULT_ALIGNMENT, Header, Tensor, padded

# What llama.cpp writes into every file that it quantises: a key and a number of 32 bits.
KEYS = ("general.quantization_version", "general.file_type")
KEY_BYTES = 8 + 4 + 4  # beside the key itself: its length, the type, the number


@dataclass(frozen=True)
class Quantized:
    """The headers of both files; `is_planned`: the result does not exist. The rows of the tensors
    in `unfit` are no whole number of blocks of the types that the mix has for them.
    """

    source: Header
    result: Header
    unfit: tuple[str, ...]
    is_planned: bool


def foreseen(source: Header, target: Path, file_type: str, types: Mapping[str, str]) -> Header:
    """The header of the file that is made of `source` with tensors of these types, which are
    written in this order.
    """
    length = source.length
    for key in KEYS:
        length += len(key) + KEY_BYTES if key not in source.metadata else 0
    position, tensors = 0, []
    shapes = {tensor.name: tensor.shape for tensor in source.tensors}
    for name, type in types.items():
        tensor = Tensor(name, shapes[name], TENSOR_TYPES_BY_NAME[type], position)
        tensors.append(tensor)
        position = padded(position + tensor.bytes, DEFAULT_ALIGNMENT)
    data_offset = padded(length, DEFAULT_ALIGNMENT)
    return replace(
        source,
        paths=(target,),
        metadata=source.metadata | {KEYS[1]: FILE_TYPE_NUMBERS[file_type]},
        tensors=tuple(tensors),
        length=length,
        data_offset=data_offset,
        size=data_offset + position,
    )
