"""A GGUF file of F32 tensors as arrays, and as the reader that transformers expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.errors import BackendError
from llmparams_cli.models.cursor import Array as Skipped
from llmparams_cli.models.gguf import Header, read_model

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array

# The types of values in a file's metadata.
INTEGER, REAL, BOOLEAN, TEXT, ARRAY = 11, 12, 7, 8, 9


@dataclass(frozen=True)
class F32File:
    """A file's header, and its tensors by name, the last axis being the row. They are mapped."""

    header: Header
    tensors: dict[str, Array]


def read(path: Path) -> F32File:
    """Raises BackendError for a file with tensors of other types, or one in several parts."""
    import numpy as np

    header = read_model(path)
    others = [tensor.name for tensor in header.tensors if tensor.type.name != "F32"]
    if others or len(header.paths) > 1:
        what = f"{others[0]!r} is not" if others else "it is in parts, not one file"
        raise BackendError(f"{path}: only a model in F32 can be trained: {what}")
    data = np.memmap(path, np.uint8, "r")
    tensors = {
        tensor.name: np.frombuffer(
            data, "<f4", tensor.elements, header.data_offset + tensor.offset
        ).reshape(tensor.shape[::-1])
        for tensor in header.tensors
    }
    return F32File(header, tensors)


@contextmanager
def read_for_transformers(file: F32File) -> Iterator[None]:
    """While this lasts, transformers gets our reading of the file from the package gguf, whose own
    takes a second for every 10,000 words of the vocabulary, twice.
    """
    import gguf

    own = gguf.GGUFReader
    gguf.GGUFReader = lambda _path: _Reader(file)
    # Transformers asks for the same map once for each of a model's modules.
    names = gguf.get_tensor_name_map
    known: dict[Any, Any] = {}

    def name_map(*of: Any) -> Any:
        return known.get(of) or known.setdefault(of, names(*of))

    gguf.get_tensor_name_map = name_map
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = own, names


@dataclass(frozen=True)
class _Field:
    """An entry of the metadata: the raw items, the places of those that count, their types."""

    parts: Sequence[Any]
    data: Sequence[int]
    types: list[int]


@dataclass(frozen=True)
class _Tensor:
    name: str
    data: Array
    tensor_type: Any


class _Reader:
    """What transformers asks of gguf.GGUFReader."""

    def __init__(self, file: F32File) -> None:
        from gguf import GGMLQuantizationType

        header = file.header
        self.fields = {key: _field(header, key) for key in header.metadata}
        self.tensors = [
            _Tensor(name, array, GGMLQuantizationType.F32) for name, array in file.tensors.items()
        ]


def _field(header: Header, key: str) -> _Field:
    value = header.metadata[key]
    if isinstance(value, Skipped) and key.startswith("tokenizer."):
        # Nothing is tokenised here: that there are so many words is all that matters.
        return _Field([[0]] * len(value), range(len(value)), [ARRAY, INTEGER])
    if isinstance(value, (list, Skipped)):
        items = header.array(key)
        type = _type(items[0]) if items else INTEGER
        return _Field([_raw(item) for item in items], range(len(items)), [ARRAY, type])
    return _Field([_raw(value)], [0], [_type(value)])


def _type(value: Any) -> int:
    kinds = ((bool, BOOLEAN), (int, INTEGER), (float, REAL))
    return next((type for kind, type in kinds if isinstance(value, kind)), TEXT)


def _raw(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else [value]
