"""Importance matrices: for each column of a matrix the mean square of what it is multiplied with.

A quantiser rounds the columns that matter most with the most care. The files are those of
llama-imatrix: GGUF, or its older format without a magic number (.dat).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.errors import ModelError
from llmparams_cli.models.gguf import MAGIC, Header, read_header
from llmparams_cli.models.gguf_written import written

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

SUMS, COUNTS = ".in_sum2", ".counts"
MOST_BYTES = 4_000_000_000  # of a file in the older format; it is read as a whole
CURE = "llmparams imatrix makes one, as llama-imatrix does"
MOST_IN_A_VALUE = 127  # bytes
_DATASETS, _CHUNKS = "imatrix.datasets", "imatrix.chunk_count"
_I32 = struct.Struct("<i")


@dataclass
class Squares:
    """What the columns of a matrix were multiplied with: sums of squares, a row for each of the
    tensor's matrices, and how many values were added; once, if each matrix had as many.
    """

    sums: Any
    counts: Any

    @classmethod
    def zero(cls, matrices: int, columns: int, counts: int) -> Squares:
        import numpy as np

        return cls(np.zeros((matrices, columns)), np.zeros(counts, np.int64))


@dataclass(frozen=True)
class Importance:
    """An importance matrix as it is made: squares by the names of tensors, collected from so many
    `chunks` of `size` tokens of the text `dataset`.
    """

    squares: Mapping[str, Squares]
    chunks: int
    size: int
    dataset: str


def importance_bytes(matrix: Importance) -> bytes:
    """The file of an importance matrix, in GGUF."""

    tensors: dict[str, Any] = {}
    for name, each in sorted(matrix.squares.items()):
        # A row of sums for each count, as llama-imatrix writes them.
        tensors[name + SUMS] = each.sums.astype("<f4").reshape(len(each.counts), -1)
        tensors[name + COUNTS] = each.counts.astype("<f4").reshape(-1, 1)
    return written(
        {
            "general.type": "imatrix",
            _DATASETS: [matrix.dataset],
            _CHUNKS: matrix.chunks,
            "imatrix.chunk_size": matrix.size,
        },
        tensors,
    )


def provenance(path: Path) -> dict[str, str | int]:
    """What a model tells of the importance matrix that it was made with, by its keys in the
    metadata; they are those of llama-quantize. Of paths there are only the names.
    """
    found: dict[str, str | int] = {
        "quantize.imatrix.file": path.name,
        "quantize.imatrix.entries_count": len(read_importance(path)),
    }
    with suppress(ModelError):  # the older format
        metadata = read_header(path).metadata
        for name in metadata.get(_DATASETS, [])[:1]:
            found["quantize.imatrix.dataset"] = Path(str(name)).name
        if isinstance(chunks := metadata.get(_CHUNKS), int):
            found["quantize.imatrix.chunks_count"] = chunks
    return {key: _cut(value) if isinstance(value, str) else value for key, value in found.items()}


def _cut(text: str) -> str:
    """As much of a text as llama.cpp takes for a value."""
    return text.encode()[:MOST_IN_A_VALUE].decode(errors="ignore")


def read_importance(path: Path) -> dict[str, NDArray[float32]]:
    """The mean squares by the names of the tensors; of a tensor with several matrices (experts) one
    after the other. Raises ModelError if it is no sound file of this kind.
    """
    try:
        with open(path, "rb") as file:
            is_gguf = file.read(len(MAGIC)) == MAGIC
        found = _from_gguf(path) if is_gguf else _from_dat(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", CURE) from error
    if not found:
        raise _unsound(path, "it has no entries")
    for name, values in found.items():
        if not _is_sound(values):
            raise _unsound(path, f"{name!r} has values that are no mean squares")
    return found


def _is_sound(values: Any) -> bool:
    import numpy as np

    return bool(len(values) and np.isfinite(values).all() and values.min() >= 0)


def _from_gguf(path: Path) -> dict[str, NDArray[float32]]:
    header = read_header(path)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = [name.removesuffix(SUMS) for name in tensors if name.endswith(SUMS)]
    if not names and header.metadata.get("general.type") != "imatrix":
        raise _unsound(path, "it is another kind of GGUF file")
    return {name: _means(header, tensors, name) for name in names}


def _means(header: Header, tensors: Any, name: str) -> NDArray[float32]:
    import numpy as np

    found = []
    for suffix in (SUMS, COUNTS):
        tensor = tensors.get(name + suffix)
        if tensor is None or tensor.type.name != "F32" or not tensor.elements:
            raise _unsound(header.path, f"{name + suffix!r} is missing or not F32")
        position = header.data_offset + tensor.offset
        found.append(np.fromfile(header.path, "<f4", tensor.elements, offset=position))
    sums, counts = found
    if len(sums) % len(counts):
        raise _unsound(header.path, f"{name!r} has {len(sums)} sums and {len(counts)} counts")
    rows, each = sums.reshape(len(counts), -1), np.rint(counts)[:, None]
    # An expert that the text never asked for: all of its columns matter alike.
    means: NDArray[float32] = np.divide(rows, each, out=np.ones_like(rows), where=each > 0)
    return means.reshape(-1)


def _from_dat(path: Path) -> dict[str, NDArray[float32]]:
    import numpy as np

    if path.stat().st_size > MOST_BYTES:
        raise _unsound(path, "it is too large")
    data = path.read_bytes()
    found = {}
    try:
        (entries,), position = _I32.unpack_from(data), 4
        for _ in range(entries):
            name, position = _text(data, position)
            calls, length = struct.unpack_from("<2i", data, position)
            position += 8
            if length < 1:
                raise ValueError
            values = np.frombuffer(data, "<f4", length, position).astype(np.float32)
            position += 4 * length
            found[name] = values / np.float32(calls) if calls > 0 else values
    except (struct.error, ValueError) as error:
        raise _unsound(path, "it is no importance matrix, or damaged") from error
    return found


def _text(data: bytes, position: int) -> tuple[str, int]:
    (length,) = _I32.unpack_from(data, position)
    start, end = position + 4, position + 4 + length
    if not 0 < length <= len(data) - start:
        raise ValueError
    return data[start:end].decode(), end


def _unsound(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} is no importance matrix that can be used: {why}", CURE)
