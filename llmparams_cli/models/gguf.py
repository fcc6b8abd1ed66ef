"""Reads the header of a GGUF file, in about a millisecond and without llama.cpp.

A file is a magic number, a version, metadata (key, type, value), one description per
tensor, padding, and the tensors' data. The file is not trusted: whatever its bytes, reading
ends in a `Header` or a `ModelError`.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from llmparams_cli.errors import ModelError
from llmparams_cli.models.cursor import AGAIN, TEXT, Array, Cursor, damaged, mapped
from llmparams_cli.models.ggml_types import (
    FILE_TYPES,
    TENSOR_TYPES,
    TENSOR_TYPES_BY_NAME,
    TensorType,
)
from llmparams_cli.templates import choice
from llmparams_cli.text.shorten import beginning
from llmparams_cli.text.units import size_text

MAGIC = b"GGUF"
CHAT_TEMPLATE = "tokenizer.chat_template"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

# Bounds that no real model comes near, as in `cursor`.
MAX_ENTRIES = 100_000
MAX_DIMENSIONS = 4
MAX_ELEMENTS = (1 << 63) - 1  # ggml counts them in an int64_t

_U32 = struct.Struct("<I")
_COUNTS = struct.Struct("<2Q")
# What follows a tensor's number of dimensions n: n lengths, its type, its offset.
_SHAPE_TYPE_OFFSET = [struct.Struct(f"<{n}QIQ") for n in range(MAX_DIMENSIONS + 1)]


class Tensor(NamedTuple):
    """One tensor. `shape[0]` is the length of a row (ggml's order, the reverse of PyTorch's);
    `offset` counts bytes from the start of the data.
    """

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.type.bytes_for(self.elements)


class Share(NamedTuple):
    """How many tensors of one type there are, and their bytes."""

    tensors: int
    bytes: int


@dataclass(frozen=True)
class Header:
    """Everything a GGUF file says about itself. Missing numbers are 0, missing texts empty.

    `metadata` maps keys to numbers, bools, texts, lists, and `Array`s in place of long lists.
    A model split over several files has one header with several `paths`. The header is `length`
    bytes long, the tensors' data begin at `data_offset`.
    """

    paths: tuple[Path, ...]
    version: int
    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]
    alignment: int
    length: int
    data_offset: int
    size: int

    @property
    def path(self) -> Path:
        return self.paths[0]

    @property
    def architecture(self) -> str:
        return self._text("general.architecture")

    @property
    def name(self) -> str:
        return self._text("general.name") or self.path.stem

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        return 8 * sum(tensor.bytes for tensor in self.tensors) / max(1, self.parameters)

    @property
    def quantization(self) -> str:
        """'Q4_K_M', 'F16', …: as declared, or else the type that takes up most of the bytes."""
        if declared := FILE_TYPES.get(self._number("general.file_type", -1)):
            return declared
        shares = self.tensor_types()
        return max(shares, key=lambda name: shares[name].bytes, default="")

    @property
    def is_quantized(self) -> bool:
        """Is any tensor quantised (stored in blocks that share a scale)?"""
        return any(tensor.type.per_block > 1 for tensor in self.tensors)

    def tensor_types(self) -> dict[str, Share]:
        """The types in use, each with its number of tensors and bytes."""
        shares: dict[str, Share] = {}
        for tensor in self.tensors:
            tensors, size = shares.get(tensor.type.name, Share(0, 0))
            shares[tensor.type.name] = Share(tensors + 1, size + tensor.bytes)
        return shares

    @property
    def context_length(self) -> int:
        """The context length that the model was trained with, in tokens."""
        return self.hyperparameter("context_length")

    @property
    def block_count(self) -> int:
        return self.hyperparameter("block_count")

    @property
    def embedding_length(self) -> int:
        return self.hyperparameter("embedding_length")

    @property
    def head_count(self) -> int:
        return self.hyperparameter("attention.head_count")

    @property
    def head_count_kv(self) -> int:
        return self.hyperparameter("attention.head_count_kv", self.head_count)

    @property
    def key_length(self) -> int:
        """Elements in one head's key."""
        return self.hyperparameter("attention.key_length", self._head_length)

    @property
    def value_length(self) -> int:
        """Elements in one head's value."""
        return self.hyperparameter("attention.value_length", self._head_length)

    @property
    def vocabulary_size(self) -> int:
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if isinstance(tokens, (list, Array)):
            return len(tokens)
        return self.hyperparameter("vocab_size")

    @property
    def chat_templates(self) -> dict[str, str]:
        """The model's chat templates by name, that without one as `default`; not the empty ones."""
        named = {
            key.removeprefix(f"{CHAT_TEMPLATE}."): value
            for key, value in self.metadata.items()
            if key.startswith(f"{CHAT_TEMPLATE}.") and isinstance(value, str)
        }
        every = {choice.CONVERSATION: self._text(CHAT_TEMPLATE), **named}
        return {name: text for name, text in every.items() if text.strip()}

    @property
    def sampling(self) -> dict[str, Any]:
        """The author's recommended sampling settings: the keys under `general.sampling.`."""
        return {k: v for k, v in self.metadata.items() if k.startswith("general.sampling.")}

    def kv_bytes_per_token(self, type_k: str = "f16", type_v: str = "f16") -> int:
        """Upper bound for the bytes of KV cache per token: sliding windows may need less."""
        per_layer = self.metadata.get(f"{self.architecture}.attention.head_count_kv")
        if isinstance(per_layer, list):
            heads = sum(count for count in per_layer if _is_count(count))
        else:
            heads = self.head_count_kv * self.block_count
        keys = TENSOR_TYPES_BY_NAME[type_k.upper()].bytes_for(heads * self.key_length)
        values = TENSOR_TYPES_BY_NAME[type_v.upper()].bytes_for(heads * self.value_length)
        return keys + values

    def hyperparameter(self, key: str, default: int = 0) -> int:
        """A number under the architecture's prefix; where each layer has its own, the largest."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        values = value if isinstance(value, list) else [value]
        return max((item for item in values if _is_count(item)), default=default)

    def array(self, key: str) -> list[Any]:
        """An array in full, read from the file if it was skipped; empty if there is none."""
        value = self.metadata.get(key, [])
        if not isinstance(value, Array):
            return list(value)
        with mapped(self.path) as (data, size):
            cursor = Cursor(self.path, data, size)
            cursor.position = value.position
            return cursor.items(value.type, value.length)

    def items(self, key: str, places: Collection[int]) -> dict[int, Any]:
        """Some items of an array of texts that was skipped, by their places in it."""
        array = self.metadata[key]
        wanted = sorted(place for place in places if 0 <= place < len(array))
        found, before = {}, 0
        with mapped(self.path) as (data, size):
            cursor = Cursor(self.path, data, size)
            cursor.position = array.position
            for place in wanted if array.type == TEXT else ():
                cursor.skip_texts(place - before)
                found[place] = cursor.text()
                before = place + 1
        return found

    def small_numbers(self, key: str) -> bytes:
        """An array of integers below 256 in full, read much faster than by `array`."""
        value = self.metadata.get(key, [])
        if not isinstance(value, Array):
            return bytes(item for item in value if _is_count(item) and item < 256)
        with mapped(self.path) as (data, size):
            width = Cursor(self.path, data, size).scalar(value.type).size
            # Numbers are little-endian: the first byte of each is all there is to a small one.
            return data[value.position : value.position + value.length * width][::width]

    @property
    def _head_length(self) -> int:
        return self.embedding_length // self.head_count if self.head_count else 0

    def _number(self, key: str, default: int = 0) -> int:
        value = self.metadata.get(key)
        return value if _is_count(value) else default

    def _text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""


def read_model(path: Path) -> Header:
    """Read the header of a model, which may be split over several files. Raises ModelError."""
    first = read_header(path)
    count = first._number("split.count")
    if count <= 1:
        return first
    number = first._number("split.no")
    paths = _part_paths(path, number, count)
    if number:
        raise ModelError(
            f"{path} is part {number + 1} of {count} of a model",
            f"give the first part: {paths[0]}",
        )
    parts = [first, *(_read_part(part, index) for index, part in enumerate(paths) if index)]
    tensors = tuple(tensor for part in parts for tensor in part.tensors)
    expected = first._number("split.tensors.count", len(tensors))
    if len({tensor.name for tensor in tensors}) != expected:
        raise ModelError(f"{path}: its {count} parts do not belong together", AGAIN)
    size = sum(part.size for part in parts)
    return replace(first, paths=tuple(paths), tensors=tensors, size=size)


def _part_paths(path: Path, number: int, count: int) -> list[Path]:
    """The files of a split model, of which `path` is part `number` (from 0)."""
    suffix = f"-{number + 1:05}-of-{count:05}.gguf"
    if count > 0xFFFF or number >= count:
        raise damaged(path, f"it says that it is part {number + 1} of {count}")
    if not path.name.endswith(suffix):
        raise ModelError(
            f"{path} is part {number + 1} of {count}, but its name does not end in {suffix}",
            "give the parts the names that they had where they were made",
        )
    stem = path.name[: -len(suffix)]
    paths = [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]
    missing = [part.name for part in paths if not part.exists()]
    if missing and not number:  # a later part is refused by the caller, with a better cure
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise ModelError(
            f"{path}: {len(missing)} of its {count} parts are missing: {names}",
            "put all parts into one directory",
        )
    return paths


def _read_part(path: Path, number: int) -> Header:
    part = read_header(path)
    if part.metadata.get("split.no") != number:
        raise ModelError(f"{path} is not part {number + 1} of the model, as its name says", AGAIN)
    return part


def read_header(path: Path) -> Header:
    """Read one file's header; raises ModelError if it is no sound GGUF file or is truncated."""
    with mapped(path) as (data, size):
        if data[:4] != MAGIC:
            from llmparams_cli.models.sniff import describe

            what, cure = describe(data[:4096])
            raise ModelError(f"{path} is not a GGUF file: it {what}", cure)
        cursor = Cursor(path, data, size)
        cursor.position = len(MAGIC)
        version = _version(cursor)
        tensor_count, entry_count = _counts(cursor)
        metadata = _metadata(cursor, entry_count)
        alignment = _alignment(path, metadata)
        tensors = _tensors(cursor, tensor_count, alignment)
        length = cursor.position
    data_offset = padded(length, alignment) if tensors else length
    needed = data_offset + (tensors[-1].offset + tensors[-1].bytes if tensors else 0)
    if size < needed:
        raise ModelError(f"{path} is truncated: {_part_of(size, needed)} are there", AGAIN)
    return Header((path,), version, metadata, tensors, alignment, length, data_offset, size)


def raw_entries(path: Path, prefix: str) -> dict[str, bytes]:
    """The metadata entries whose keys begin so, each as the bytes of its type and value."""
    with mapped(path) as (data, size):
        cursor = Cursor(path, data, size)
        cursor.position = len(MAGIC)
        _version(cursor)
        _, count = _counts(cursor)
        found = {}
        for _ in range(count):
            key, start = cursor.text(), cursor.position
            (type,) = cursor.unpack(_U32)
            cursor.value(type)
            if key.startswith(prefix):
                found[key] = bytes(data[start : cursor.position])
        return found


def _version(cursor: Cursor) -> int:
    (version,) = cursor.unpack(_U32)
    if version & 0xFFFF == 0 and version:  # a small number with its bytes reversed
        raise ModelError(
            f"{cursor.path} is a big-endian GGUF file",
            "convert it: pip install gguf, then gguf-convert-endian FILE little",
        )
    if version not in VERSIONS:
        raise ModelError(
            f"{cursor.path} has GGUF version {version}; versions 2 and 3 can be read",
            "get a file converted by a present-day llama.cpp",
        )
    return int(version)


def _counts(cursor: Cursor) -> tuple[int, int]:
    tensors, entries = cursor.unpack(_COUNTS)
    if max(tensors, entries) > MAX_ENTRIES:
        raise damaged(cursor.path, f"it claims {tensors} tensors and {entries} metadata entries")
    return tensors, entries


def _metadata(cursor: Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text()
        if not key or key in metadata:
            raise damaged(cursor.path, f"the metadata key {_quote(key)} is empty or repeated")
        (type,) = cursor.unpack(_U32)
        metadata[key] = cursor.value(type)
    return metadata


def _alignment(path: Path, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    # A power of two has a single bit, and shares none with the number below it.
    if not _is_count(alignment) or alignment < 1 or alignment & (alignment - 1):
        raise damaged(path, f"general.alignment is {_quote(alignment)}, not a power of two")
    return alignment


def _tensors(cursor: Cursor, count: int, alignment: int) -> tuple[Tensor, ...]:
    """Read all tensor descriptions. Their data must be contiguous, but for padding, as ggml
    demands.
    """
    tensors: dict[str, Tensor] = {}
    offset = 0
    for _ in range(count):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise damaged(cursor.path, f"there are two tensors {_quote(tensor.name)}")
        if tensor.offset != offset:
            raise damaged(
                cursor.path,
                f"tensor {_quote(tensor.name)} is at {tensor.offset} where {offset} is expected",
            )
        tensors[tensor.name] = tensor
        offset = padded(offset + tensor.bytes, alignment)
    return tuple(tensors.values())


def _tensor(cursor: Cursor) -> Tensor:
    name = cursor.text()
    (dimensions,) = cursor.unpack(_U32)
    if dimensions > MAX_DIMENSIONS:
        raise damaged(cursor.path, f"tensor {_quote(name)} has {dimensions} dimensions")
    *shape, number, offset = cursor.unpack(_SHAPE_TYPE_OFFSET[dimensions])
    type = TENSOR_TYPES.get(number)
    if type is None:
        raise ModelError(
            f"{cursor.path}: tensor {_quote(name)} has the unknown type {number}",
            "the file is damaged, or needs another version of llama.cpp",
        )
    tensor = Tensor(name, tuple(shape), type, offset)
    # A row is a whole number of blocks.
    if tensor.elements > MAX_ELEMENTS or (shape and shape[0] % type.per_block):
        raise damaged(cursor.path, f"tensor {_quote(name)} has the shape {shape} in {type.name}")
    return tensor


def _quote(value: object) -> str:
    """A value from the file for a message: short, and without control characters."""
    return beginning(repr(value), 80)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def padded(position: int, alignment: int) -> int:
    """The next multiple of the alignment."""
    return -(-position // alignment) * alignment  # rounded up: // rounds down


def _part_of(have: int, all: int) -> str:
    """'1.2 GB of 4.1 GB', or in bytes if the file is small or both would look the same."""
    if all < 1000 or size_text(have) == size_text(all):
        return f"{have:,} of {all:,} bytes"
    return f"{size_text(have)} of {size_text(all)}"
