"""A model and a smaller one that was made of it, or would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmparams_cli.models.ggml_types import FILE_TYPE_NUMBERS, TENSOR_TYPES_BY_NAME
from llmparams_cli.models.gguf import DEFAULT_ALIGNMENT, Header, Tensor, padded

# Numbers of 32 bits that llama.cpp writes into every file that it quantises.
VERSION, TYPE = "general.quantization_version", "general.file_type"


@dataclass(frozen=True)
class Quantized:
    """The headers of both files; `is_planned`: the result does not exist. The rows of the tensors
    in `unfit` are no whole number of blocks of the types that the mix has for them.
    """

    source: Header
    result: Header
    unfit: tuple[str, ...]
    is_planned: bool


def foreseen(
    source: Header,
    target: Path,
    file_type: str,
    types: Mapping[str, str],
    added: Mapping[str, str | int] = MappingProxyType({}),
) -> Header:
    """The header of the file that is made of `source` with tensors of these types, which are
    written in this order; `added` are entries of metadata beside the usual.
    """
    new = {VERSION: 0, TYPE: FILE_TYPE_NUMBERS[file_type], **added}
    length = source.length
    for key, value in new.items():
        length += _entry(key, value)
        if key in source.metadata:
            length -= _entry(key, source.metadata[key])
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
        metadata=source.metadata | new,
        tensors=tuple(tensors),
        length=length,
        data_offset=data_offset,
        size=data_offset + position,
    )


def _entry(key: str, value: Any) -> int:
    """The bytes of an entry of metadata: the key with its length, the type, a text with its length
    or a number.
    """
    text = 8 + len(value.encode()) if isinstance(value, str) else 4
    return 8 + len(key.encode()) + 4 + text
