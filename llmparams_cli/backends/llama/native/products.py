"""How fast ggml multiplies a matrix of a model that is in memory, where it lies and as it lies."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmparams_cli.backends.llama.native.breakdown import DEVICE_CPU, place_of, tensor_of
from llmparams_cli.backends.llama.native.crash import during
from llmparams_cli.backends.llama.native.library import function, ggml, ggml_registry
from llmparams_cli.backends.llama.native.tensors import F32, Tensor

AGAIN, FEW = 8, 8  # products in one graph with few columns: beginning one takes time, too
MOST = 512 * 1024  # bytes of a matrix, of which there are caches even in small processors
LEAST, BUDGET = 3, 0.1  # graphs, and seconds
PLAIN = ("CPU", "CPU_Mapped")  # buffer types that hold weights as they are in the file
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t


class _Workspace(ctypes.Structure):
    """ggml_init_params"""

    _fields_ = (("mem_size", _SIZE), ("mem_buffer", _POINTER), ("no_alloc", ctypes.c_bool))


def rate(model: int, name: str, columns: int, threads: int) -> float | None:
    """Products of a weight and a number in a second, the best of some; None where the library does
    not tell where the matrix is. Of a large one only the first rows are multiplied, unless they are
    rearranged: what is in the processor's cache need not be waited for.
    """
    address = tensor_of(model, name)
    if not address:
        return None
    matrix = Tensor.from_address(address)
    width, rows, *_ = matrix.ne
    if not _is_rearranged(model, name):
        rows = min(rows, max(threads, MOST // matrix.nb[1]))
    with (
        during(f"multiplying with {name}"),
        _graph(address, rows=rows, columns=columns, threads=threads) as compute,
    ):
        compute()  # the threads are made, and the memory is touched
        best, spent, times = float("inf"), 0.0, 0
        while times < LEAST or spent < BUDGET:
            began = time.perf_counter()
            compute()
            took = time.perf_counter() - began
            best, spent, times = min(best, took), spent + took, times + 1
    return float(rows * width * columns * _times(columns)) / best


@contextmanager
def _graph(weights: int, *, rows: int, columns: int, threads: int) -> Iterator[Any]:
    """What computes the products of a matrix, or of its first rows, on the device that it is on."""
    base, whole = ggml(), Tensor.from_address(weights)
    size = _call("ggml_tensor_overhead", _SIZE)() * (AGAIN + 3)
    size += _call("ggml_graph_overhead", _SIZE)()
    workspace = function(base.ggml_init, _POINTER, _Workspace)(_Workspace(size, None, True))
    backend = _backend(weights, threads)
    numbers = _call("ggml_new_tensor_2d", _POINTER, _POINTER, ctypes.c_int, *[ctypes.c_int64] * 2)(
        workspace, F32, whole.ne[0], columns
    )
    if rows < whole.ne[1]:
        view = _call("ggml_view_2d", _POINTER, *[_POINTER] * 2, *[ctypes.c_int64] * 2, _SIZE, _SIZE)
        weights = view(workspace, weights, whole.ne[0], rows, whole.nb[1], 0)
    multiplied = _call("ggml_mul_mat", _POINTER, *[_POINTER] * 3)
    graph = _call("ggml_new_graph", _POINTER, _POINTER)(workspace)
    expand = _call("ggml_build_forward_expand", None, _POINTER, _POINTER)
    for _ in range(_times(columns)):
        expand(graph, multiplied(workspace, weights, numbers))
    allocate = _call("ggml_backend_alloc_ctx_tensors", _POINTER, _POINTER, _POINTER)
    buffer = allocate(workspace, backend)
    _call("ggml_backend_buffer_clear", None, _POINTER, ctypes.c_uint8)(buffer, 0)
    run = _call("ggml_backend_graph_compute", ctypes.c_int, _POINTER, _POINTER)
    try:
        yield lambda: run(backend, graph)
    finally:
        _call("ggml_backend_buffer_free", None, _POINTER)(buffer)
        _call("ggml_backend_free", None, _POINTER)(backend)
        _call("ggml_free", None, _POINTER)(workspace)


def _times(columns: int) -> int:
    return AGAIN if columns <= FEW else 1


def _backend(weights: int, threads: int) -> int:
    """A backend for the device of these weights; on a CPU, with so many threads."""
    one = (_POINTER, _POINTER)
    buffer = Tensor.from_address(weights).buffer
    type = _call("ggml_backend_buffer_get_type", *one)(buffer)
    device = _call("ggml_backend_buft_get_device", *one)(type) or _cpu()
    backend = _call("ggml_backend_dev_init", _POINTER, _POINTER, ctypes.c_char_p)(device, None)
    registry = _call("ggml_backend_dev_backend_reg", *one)(device)
    find = _call("ggml_backend_reg_get_proc_address", _POINTER, _POINTER, ctypes.c_char_p)
    if address := find(registry, b"ggml_backend_set_n_threads"):
        ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_int)(address)(backend, threads)
    return int(backend)


def _is_rearranged(model: int, name: str) -> bool:
    """Are its rows not where they were? Then it has no beginning that could be taken alone."""
    kind, device = place_of(model, name)
    return device is not None or kind not in PLAIN


def _cpu() -> int:
    """Its device, of which the buffers of mapped files know nothing."""
    of_type = function(ggml_registry().ggml_backend_dev_by_type, _POINTER, ctypes.c_int)
    return int(of_type(DEVICE_CPU))


def _call(name: str, result: Any, *arguments: Any) -> Any:
    return function(getattr(ggml(), name), result, *arguments)
