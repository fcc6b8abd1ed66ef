"""The header of a GGUF file, read without an engine in a millisecond or so.

A file is a magic number, a version, metadata (key, type, value), one description per
tensor, padding, and the tensors' data. Nothing here trusts the file: whatever its bytes,
reading ends in a `Header` or in a `ModelError`.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from llmparams_cli.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

# Bounds that no real model comes near: they keep a hostile file from costing time or memory.
MAX_HEADER = 256 << 20
MAX_ENTRIES = 100_000
MAX_TEXT = 16 << 20
MAX_DIMENSIONS = 4
MAX_ELEMENTS = (1 << 63) - 1

# Longer arrays (the vocabulary) stay in the file until `Header.array` asks for them.
MAX_EAGER_ARRAY = 1024

SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
TEXT, ARRAY = 8, 9

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_COUNTS = struct.Struct("<2Q")
_ARRAY = struct.Struct("<IQ")
_SHAPE_TYPE_OFFSET = [struct.Struct(f"<{n}QIQ") for n in range(MAX_DIMENSIONS + 1)]


class TensorType(NamedTuple):
    """How weights are stored: in blocks of `per_block` weights and `block_bytes` bytes."""

    name: str
    per_block: int
    block_bytes: int

    def bytes_for(self, elements: int) -> int:
        return -(-elements // self.per_block) * self.block_bytes


TENSOR_TYPES = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    2: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20),
    6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24),
    8: TensorType("Q8_0", 32, 34),
    9: TensorType("Q8_1", 32, 36),
    10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    15: TensorType("Q8_K", 256, 292),
    16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98),
    19: TensorType("IQ1_S", 256, 50),
    20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110),
    22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136),
    24: TensorType("I8", 1, 1),
    25: TensorType("I16", 1, 2),
    26: TensorType("I32", 1, 4),
    27: TensorType("I64", 1, 8),
    28: TensorType("F64", 1, 8),
    29: TensorType("IQ1_M", 256, 56),
    30: TensorType("BF16", 1, 2),
    34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
    40: TensorType("NVFP4", 64, 36),
    41: TensorType("Q1_0", 128, 18),
    42: TensorType("Q2_0", 64, 18),
}
TENSOR_TYPES_BY_NAME = {type.name: type for type in TENSOR_TYPES.values()}

# general.file_type (llama_ftype in llama.h): what the model as a whole is called.
FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}

AGAIN = "download or copy it again"


class Tensor(NamedTuple):
    """One tensor; the first dimension is the row. `offset` counts from the data's start."""

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


@dataclass(frozen=True)
class Array:
    """An array left in the file: the type of its items, their number, where they start."""

    type: int
    length: int
    position: int

    def __len__(self) -> int:
        return self.length


class Share(NamedTuple):
    """What the tensors of one type amount to."""

    tensors: int
    bytes: int


@dataclass(frozen=True)
class Header:
    """Everything a GGUF says of itself. Numbers that it leaves out are 0, texts empty.

    `metadata` maps keys to numbers, truth values, texts, lists, and `Array`s for long
    lists. A model split over several files is one header with several `paths`.
    """

    paths: tuple[Path, ...]
    version: int
    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]
    alignment: int
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
        """How many weights and biases there are."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def quantization(self) -> str:
        """'Q4_K_M', 'F16', …: as declared, else the type that takes most of the bytes."""
        if declared := FILE_TYPES.get(self._number("general.file_type", -1)):
            return declared
        shares = self.tensor_types()
        return max(shares, key=lambda name: shares[name].bytes, default="")

    @property
    def is_quantized(self) -> bool:
        """Is any tensor stored in blocks under a common scale?"""
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
        """Tokens in the context that the model was trained for."""
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
    def chat_template(self) -> str:
        return self._text("tokenizer.chat_template")

    @property
    def sampling(self) -> dict[str, Any]:
        """The author's recommended sampling: the keys under `general.sampling.`."""
        return {k: v for k, v in self.metadata.items() if k.startswith("general.sampling.")}

    def kv_bytes_per_token(self, type_k: str = "f16", type_v: str = "f16") -> int:
        """Bytes of KV cache for one token, at most: sliding windows may need less."""
        per_layer = self.metadata.get(f"{self.architecture}.attention.head_count_kv")
        if isinstance(per_layer, list):
            heads = sum(count for count in per_layer if _is_count(count))
        else:
            heads = self.head_count_kv * self.block_count
        keys = TENSOR_TYPES_BY_NAME[type_k.upper()].bytes_for(heads * self.key_length)
        values = TENSOR_TYPES_BY_NAME[type_v.upper()].bytes_for(heads * self.value_length)
        return keys + values

    def hyperparameter(self, key: str, default: int = 0) -> int:
        """A number of this architecture; the largest one where each layer has its own."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        values = value if isinstance(value, list) else [value]
        return max((item for item in values if _is_count(item)), default=default)

    def array(self, key: str) -> list[Any]:
        """An array in full, whatever its length; empty when there is none."""
        value = self.metadata.get(key, [])
        if not isinstance(value, Array):
            return list(value)
        with _mapped(self.path) as (data, size):
            cursor = _Cursor(self.path, data, size)
            cursor.position = value.position
            return cursor.items(value.type, value.length)

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
    """The header of a model, with all its parts when it is split over several files."""
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
    """The files of a split model, of which `path` is the one with this number (from 0)."""
    suffix = f"-{number + 1:05}-of-{count:05}.gguf"
    if count > 0xFFFF or number >= count:
        raise _damaged(path, f"it says that it is part {number + 1} of {count}")
    if not path.name.endswith(suffix):
        raise ModelError(
            f"{path} is part {number + 1} of {count}, but its name does not end in {suffix}",
            "give the parts the names that they had where they were made",
        )
    stem = path.name[: -len(suffix)]
    paths = [path.with_name(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]
    missing = [part.name for part in paths if not part.exists()]
    if missing and not number:
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
    """Read one file; ModelError when it is no sound GGUF, or less than all of it is there."""
    with _mapped(path) as (data, size):
        if data[:4] != MAGIC:
            from llmparams_cli.models.sniff import describe

            what, cure = describe(data[:4096])
            raise ModelError(f"{path} is not a GGUF file: it {what}", cure)
        cursor = _Cursor(path, data, size)
        cursor.position = len(MAGIC)
        version = _version(cursor)
        tensor_count, entry_count = _counts(cursor)
        metadata = _metadata(cursor, entry_count)
        alignment = _alignment(path, metadata)
        tensors = _tensors(cursor, tensor_count, alignment)
        data_offset = _pad(cursor.position, alignment) if tensors else cursor.position
    needed = data_offset + (tensors[-1].offset + tensors[-1].bytes if tensors else 0)
    if size < needed:
        raise ModelError(f"{path} is truncated: {_part_of(size, needed)} are there", AGAIN)
    return Header((path,), version, metadata, tensors, alignment, data_offset, size)


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[mmap.mmap, int]]:
    """The start of a file, long enough for any header, and the size of the whole file."""
    try:
        # Opening a named pipe to read it would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path} cannot be read: {reason}", "check the path and its permissions"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(
                f"{path} is not a regular file", "a model is mapped into memory: save it in a file"
            )
        if not status.st_size:
            raise ModelError(f"{path} is empty", AGAIN)
        length = min(status.st_size, MAX_HEADER)
        try:
            data = mmap.mmap(descriptor, length, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{path} cannot be mapped into memory: {error}", "copy it to a local disk"
            ) from error
        with data:
            yield data, status.st_size
    finally:
        os.close(descriptor)


class _Cursor:
    """Reads values one after the other and refuses to leave the mapped bytes."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self.path = path
        self.data = data
        self.size = size
        self.position = 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        start = self.advance(layout.size)
        return layout.unpack_from(self.data, start)

    def advance(self, count: int) -> int:
        """Pass over so many bytes; return where they begin."""
        start = self.position
        if count > len(self.data) - start:
            raise self.overrun()
        self.position = start + count
        return start

    def overrun(self) -> ModelError:
        if len(self.data) < self.size:
            return _damaged(self.path, f"its header is longer than {_size(MAX_HEADER)}")
        return ModelError(
            f"{self.path} is truncated or damaged: its header goes on past the end of the file,"
            f" at {_size(self.size)}",
            AGAIN,
        )

    def text(self) -> str:
        (length,) = self.unpack(_U64)
        if length > MAX_TEXT:
            raise _damaged(self.path, f"it has a text of {length} bytes in its header")
        start = self.advance(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def value(self, type: int) -> Any:
        if type == TEXT:
            return self.text()
        if type == ARRAY:
            return self.array()
        return self.unpack(self.scalar(type))[0]

    def scalar(self, type: int) -> struct.Struct:
        layout = SCALARS.get(type)
        if layout is None:
            raise _damaged(self.path, f"it has a value of the unknown type {type}")
        return layout

    def array(self) -> list[Any] | Array:
        type, length = self.unpack(_ARRAY)
        if length <= MAX_EAGER_ARRAY:
            return self.items(type, length)
        array = Array(type, length, self.position)
        if type == TEXT:
            self.skip_texts(length)
        else:
            self.advance(length * self.scalar(type).size)
        return array

    def items(self, type: int, length: int) -> list[Any]:
        if type == TEXT:
            return [self.text() for _ in range(length)]
        scalar = self.scalar(type)
        start = self.advance(length * scalar.size)
        return [value for (value,) in scalar.iter_unpack(self.data[start : self.position])]

    def skip_texts(self, count: int) -> None:
        """Walk over texts without making them: the bulk of the work in a large header."""
        data, position, length_at = self.data, self.position, _U64.unpack_from
        if count * _U64.size > len(data) - position:
            raise self.overrun()
        try:
            for _ in range(count):
                position += 8 + length_at(data, position)[0]
        except (struct.error, OverflowError):
            raise self.overrun() from None
        self.advance(position - self.position)


def _version(cursor: _Cursor) -> int:
    (version,) = cursor.unpack(_U32)
    if version & 0xFFFF == 0 and version:
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


def _counts(cursor: _Cursor) -> tuple[int, int]:
    tensors, entries = cursor.unpack(_COUNTS)
    if max(tensors, entries) > MAX_ENTRIES:
        raise _damaged(cursor.path, f"it claims {tensors} tensors and {entries} metadata entries")
    return tensors, entries


def _metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text()
        if not key or key in metadata:
            raise _damaged(cursor.path, f"the metadata key {_quote(key)} is empty or repeated")
        (type,) = cursor.unpack(_U32)
        metadata[key] = cursor.value(type)
    return metadata


def _alignment(path: Path, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not _is_count(alignment) or alignment < 1 or alignment & (alignment - 1):
        raise _damaged(path, f"general.alignment is {_quote(alignment)}, not a power of two")
    return alignment


def _tensors(cursor: _Cursor, count: int, alignment: int) -> tuple[Tensor, ...]:
    """All tensor descriptions. The data must follow one upon the other, without gaps."""
    tensors: dict[str, Tensor] = {}
    offset = 0
    for _ in range(count):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise _damaged(cursor.path, f"there are two tensors {_quote(tensor.name)}")
        if tensor.offset != offset:
            raise _damaged(
                cursor.path,
                f"tensor {_quote(tensor.name)} is at {tensor.offset} where {offset} is expected",
            )
        tensors[tensor.name] = tensor
        offset = _pad(offset + tensor.bytes, alignment)
    return tuple(tensors.values())


def _tensor(cursor: _Cursor) -> Tensor:
    name = cursor.text()
    (dimensions,) = cursor.unpack(_U32)
    if dimensions > MAX_DIMENSIONS:
        raise _damaged(cursor.path, f"tensor {_quote(name)} has {dimensions} dimensions")
    *shape, number, offset = cursor.unpack(_SHAPE_TYPE_OFFSET[dimensions])
    type = TENSOR_TYPES.get(number)
    if type is None:
        raise ModelError(
            f"{cursor.path}: tensor {_quote(name)} has the unknown type {number}",
            "the file is damaged, or needs another version of llama.cpp",
        )
    tensor = Tensor(name, tuple(shape), type, offset)
    if tensor.elements > MAX_ELEMENTS or (shape and shape[0] % type.per_block):
        raise _damaged(cursor.path, f"tensor {_quote(name)} has the shape {shape} in {type.name}")
    return tensor


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is damaged: {what}", AGAIN)


def _quote(value: object) -> str:
    """A value from the file, short and without control characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pad(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _part_of(have: int, all: int) -> str:
    """'1.2 GB of 4.1 GB', or exact bytes of a small file and when these would look the same."""
    if all < 1000 or _size(have) == _size(all):
        return f"{have:,} of {all:,} bytes"
    return f"{_size(have)} of {_size(all)}"


def _size(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count:.0f} {unit}"
