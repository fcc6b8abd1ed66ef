"""What the matrices of a model are multiplied with, while it reads: sums of squares, as
llama-imatrix collects them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from llmparams_cli.backends.llama.decoding.reading import read
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import function, ggml, llama
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control, called_from_c
from llmparams_cli.models.importance import Squares
from llmparams_cli.protocol import Chunk

FEWEST = 16  # rows: what has fewer is no reading of a text
F32 = 0  # enum ggml_type


class _Tensor(ctypes.Structure):
    """struct ggml_tensor, as far as it is needed."""


_Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]


class Collector:
    """Adds up the squares of what each matrix of a layer is multiplied with; `callback` is for
    `cb_eval` of llama_context_params.
    """

    def __init__(self) -> None:
        self.found: dict[str, Squares] = {}
        self.error: Exception | None = None  # it could not pass through C
        self.callback = llama().ggml_backend_sched_eval_callback(self._seen)

    @called_from_c
    def _seen(self, address: int, ask: bool, _user_data: object) -> bool:
        """Tell whether the result of an operation is wanted (`ask`), or take it."""
        tensor = _Tensor.from_address(address)
        operation = _name_of(tensor.op)
        if operation not in ("MUL_MAT", "MUL_MAT_ID"):
            return False
        name = _matrix(tensor.src[0].contents.name)
        if ask:
            factor = tensor.src[1].contents
            is_read = factor.ne[1] >= FEWEST and factor.type == F32 and name.startswith("blk.")
            return is_read or operation == "MUL_MAT_ID"
        try:
            if operation == "MUL_MAT":
                self._add(name, tensor)
            else:
                self._add_experts(name, tensor)
        except Exception as error:
            self.error = error
        return True

    def _add(self, name: str, tensor: _Tensor) -> None:
        import numpy as np

        matrix, factor = tensor.src[0].contents, tensor.src[1].contents
        several, columns = matrix.ne[2] * matrix.ne[3], factor.ne[0]
        squares = self.found.setdefault(name, Squares.zero(several, columns, 1))
        values = _values(factor, np.float32).astype(np.float64)  # [ne3, ne2, row, column]
        rows = (values**2).sum(axis=2)
        for third in range(factor.ne[3]):
            for second in range(factor.ne[2]):
                place = (third % matrix.ne[3]) * matrix.ne[2] + second % matrix.ne[2]
                squares.sums[place] += rows[third, second]
        squares.counts += factor.ne[1] * factor.ne[2] * factor.ne[3] // several

    def _add_experts(self, name: str, tensor: _Tensor) -> None:
        """Only the experts that a token was given to."""
        import numpy as np

        matrix, factor, ids = (tensor.src[place].contents for place in range(3))
        experts, columns = matrix.ne[2], factor.ne[0]
        squares = self.found.setdefault(name, Squares.zero(experts, columns, experts))
        values = _values(factor, np.float32)[0].astype(np.float64) ** 2  # [token, slot, column]
        chosen = _values(ids, np.int32)[0, 0]  # [token, slot]
        for slot in range(chosen.shape[1]):
            np.add.at(squares.sums, chosen[:, slot], values[:, slot % values.shape[1]])
            np.add.at(squares.counts, chosen[:, slot], 1)


def collected(
    context: Context,
    collector: Collector,
    batch_size: int,
    chunks: Iterable[Chunk],
    control: Control,
) -> Iterator[dict[str, Squares]]:
    """Read chunks into sequence 0, and yield what was found so far after each."""
    for chunk in chunks:
        wanted = range(len(chunk.tokens))  # all: the last layer leaves out the others
        for _ in read(context, batch_size, chunk, wanted, control):
            pass  # C calls the collector
        if collector.error:
            raise BackendError(
                f"what this model computes does not fit its matrices: {collector.error}"
            ) from collector.error
        yield collector.found


@cache
def _name_of(operation: int) -> str:
    return str(function(ggml().ggml_op_name, ctypes.c_char_p, ctypes.c_int)(operation), "ascii")


def _matrix(name: bytes) -> str:
    """The name in the file: CUDA0#blk.0.attn_k.weight#0 is a copy on another device."""
    parts = name.decode("utf-8", "replace").split("#")
    return parts[1] if len(parts) > 1 else parts[0]


def _values(tensor: _Tensor, type: Any) -> Any:
    """The values of a tensor, wherever it is, as an array whose last axis is the row."""
    import numpy as np

    size = function(ggml().ggml_nbytes, ctypes.c_size_t, ctypes.c_void_p)
    get = function(ggml().ggml_backend_tensor_get, None, *_GET)
    data = np.empty(size(ctypes.addressof(tensor)), np.uint8)
    get(ctypes.addressof(tensor), data.ctypes.data, 0, data.nbytes)
    shape, strides = [*tensor.ne][::-1], [*tensor.nb][::-1]
    return np.ndarray(shape, type, data, strides=strides)


_GET = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
