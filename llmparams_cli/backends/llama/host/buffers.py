"""Where llama.cpp's CPU backend keeps quantised weights.

Besides plain memory it has 'extra' buffer types (AMX, CPU_REPACK, …) that rearrange weights
for faster instructions. llama.cpp picks the first type that can hold a tensor; a mode says
which of them it may pick from.
"""

from __future__ import annotations

import ctypes
from enum import Enum
from functools import cache
from typing import Any

from llmparams_cli.backends.llama.native.library import function, ggml, ggml_registry

CPU_DEVICE = 0  # enum ggml_backend_dev_type
REPACK = "CPU_REPACK"  # written in C++ with plain vector instructions, on every processor


class WeightMode(str, Enum):
    """Which extra buffer types a model may use, from the fastest mode to the slowest."""

    FULL = "full"  # all that the library offers
    REPACK = "repack"  # CPU_REPACK alone
    PLAIN = "plain"  # none


def extra_buffers() -> tuple[str, ...]:
    """Names of the extra buffer types, in llama.cpp's order of preference."""
    return tuple(_name(buffer) for buffer in _buffers()[1])


def modes() -> list[WeightMode]:
    """The modes that differ on this machine, the fastest first."""
    extra = extra_buffers()
    if REPACK in extra and len(extra) > 1:
        return list(WeightMode)
    return [WeightMode.FULL, WeightMode.PLAIN] if extra else [WeightMode.PLAIN]


def apply(mode: WeightMode, params: Any) -> None:
    """Let models that are loaded with `params` (llama_model_params) use `mode`.

    llama.cpp can switch the extra types off, but not choose among them. So the choice is
    made in the very list that it goes through while it loads a model; models in memory
    do not depend on it. (Its other means, tensor_buft_overrides, aborts on a tensor that
    the type cannot hold, and takes tensors away from the GPU.)
    """
    params.use_extra_bufts = mode is not WeightMode.PLAIN
    listed, buffers = _buffers()
    allowed = [b for b in buffers if mode is WeightMode.FULL or _name(b) == REPACK]
    for place in range(len(buffers)):
        listed[place] = allowed[place] if place < len(allowed) else None


@cache
def _buffers() -> tuple[Any, tuple[int, ...]]:
    """The library's list of extra buffer types (ends with NULL), and what it held."""
    pointer = ctypes.c_void_p
    registry, base = ggml_registry(), ggml()
    device_of = function(registry.ggml_backend_dev_by_type, pointer, ctypes.c_int)
    registry_of = function(base.ggml_backend_dev_backend_reg, pointer, pointer)
    address_of = function(base.ggml_backend_reg_get_proc_address, pointer, pointer, ctypes.c_char_p)
    device = device_of(CPU_DEVICE)
    address = address_of(registry_of(device), b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return None, ()
    listed = ctypes.CFUNCTYPE(ctypes.POINTER(pointer), pointer)(address)(device)
    buffers: list[int] = []
    while listed[len(buffers)]:
        buffers.append(listed[len(buffers)])
    return listed, tuple(buffers)


@cache
def _name(buffer: int) -> str:
    name = function(ggml().ggml_backend_buft_name, ctypes.c_char_p, ctypes.c_void_p)
    return str(name(buffer), "utf-8")
