"""The tensors of a graph, while llama.cpp computes it."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.llama.native.library import function, ggml

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

F32 = 0  # enum ggml_type
NO_OPERATION = 0  # enum ggml_op


class Tensor(ctypes.Structure):
    """struct ggml_tensor, as far as it is needed."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]


def operation_of(tensor: Tensor) -> str:
    """The name of what makes a tensor, such as MUL_MAT."""
    return _operation(tensor.op)


@cache
def _operation(number: int) -> str:
    return str(function(ggml().ggml_op_name, ctypes.c_char_p, ctypes.c_int)(number), "ascii")


def values_of(tensor: Tensor, type: Any) -> Any:
    """The values of a tensor, wherever it is, as an array whose last axis is the row."""
    import numpy as np

    size = function(ggml().ggml_nbytes, ctypes.c_size_t, ctypes.c_void_p)
    get = function(ggml().ggml_backend_tensor_get, None, *_GET)
    data = np.empty(size(ctypes.addressof(tensor)), np.uint8)
    get(ctypes.addressof(tensor), data.ctypes.data, 0, data.nbytes)
    shape, strides = [*tensor.ne][::-1], [*tensor.nb][::-1]
    return np.ndarray(shape, type, data, strides=strides)


_GET = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)


def floats_of(tensor: Tensor) -> NDArray[float32]:
    """The memory of an F32 tensor that the CPU computes with, as an array without axes of 1 in
    front. It is gone when llama.cpp frees it.
    """
    import numpy as np

    shape = [*tensor.ne][::-1]
    while len(shape) > 1 and shape[0] == 1:
        del shape[0]
    memory = (ctypes.c_float * int(np.prod(shape))).from_address(tensor.data)
    return np.ctypeslib.as_array(memory).reshape(shape)
