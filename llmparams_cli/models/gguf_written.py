"""Writes small GGUF files: texts, lists of texts, 32-bit numbers, entries of other files, and
float32 arrays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from llmparams_cli.models.cursor import ARRAY, TEXT
from llmparams_cli.models.gguf import DEFAULT_ALIGNMENT, MAGIC, padded

VERSION = 3
UINT32, FLOAT32 = 4, 6  # enum gguf_type
F32 = 0  # enum ggml_type


def written(metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> bytes:
    """The bytes of a file; an array's last axis is the row. Bytes among the metadata are an entry's
    type and value, as `gguf.raw_entries` has them.
    """
    return b"".join(pieces(metadata, tensors))


def pieces(metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> Iterator[bytes]:
    """The same one after the other, so that a large file need not be in memory twice."""
    head = [MAGIC, struct.pack("<I2Q", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        head += [_text(key), _value(value)]
    position = 0
    for name, array in tensors.items():
        shape = list(array.shape[::-1])
        while len(shape) > 1 and shape[-1] == 1:  # as ggml writes them
            shape.pop()
        head.append(_text(name))
        head.append(struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, F32, position))
        position += padded(4 * array.size, DEFAULT_ALIGNMENT)
    yield _padded(b"".join(head))
    for array in tensors.values():
        yield _padded(array.astype("<f4").tobytes())


def _value(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + _text(value)
    if isinstance(value, list):
        items = b"".join(map(_text, value))
        return struct.pack("<IIQ", ARRAY, TEXT, len(value)) + items
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    return struct.pack("<II", UINT32, value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data.ljust(padded(len(data), DEFAULT_ALIGNMENT), b"\0")
