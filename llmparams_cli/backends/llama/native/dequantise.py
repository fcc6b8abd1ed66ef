"""The values of a tensor, in slices, whatever type it is stored in."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.llama.native.library import function, ggml
from llmparams_cli.errors import BackendError, ModelError
from llmparams_cli.models.ggml_types import TENSOR_TYPE_NUMBERS
from llmparams_cli.models.gguf import Tensor

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

SLICE = 1 << 20  # elements, a whole number of blocks of any type
# What numpy reads without the library.
PLAIN = {
    "F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
}  # fmt: skip


class _Traits(ctypes.Structure):
    """struct ggml_type_traits in ggml.h."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float_ref", ctypes.c_void_p),
    )


def values(path: Path, position: int, tensor: Tensor) -> Iterator[NDArray[float32]]:
    """The values of the tensor whose data begin at this byte of a file, in the order in which they
    are stored, at most `SLICE` at a time.

    Raises ModelError if the file ends early, BackendError if the library cannot convert the type.
    """
    import numpy as np

    convert = _converter(tensor)
    done, type = 0, tensor.type
    # Read and not mapped: a file that shrinks meanwhile is an error then, and no crash.
    with open(path, "rb") as file:
        file.seek(position)
        while done < tensor.elements:
            count = min(SLICE, tensor.elements - done)
            data = file.read(type.bytes_for(count))
            if len(data) < type.bytes_for(count):
                raise ModelError(f"{path} ends in the middle of {tensor.name!r}")
            with np.errstate(over="ignore", invalid="ignore"):
                yield convert(data, count)
            done += count


def _converter(tensor: Tensor) -> Any:
    import numpy as np

    name = tensor.type.name
    if name in PLAIN:
        return lambda data, _count: np.frombuffer(data, PLAIN[name]).astype(np.float32)
    traits = function(ggml().ggml_get_type_traits, ctypes.POINTER(_Traits), ctypes.c_int)
    to_float = traits(TENSOR_TYPE_NUMBERS[name]).contents.to_float
    if not to_float:
        raise BackendError(f"llama.cpp's library cannot convert {tensor.name!r} from {name}")

    def convert(data: bytes, count: int) -> NDArray[float32]:
        found = np.empty(count, np.float32)
        to_float(data, found.ctypes.data, count)
        return found

    return convert
