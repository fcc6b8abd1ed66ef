"""What llama.cpp allocated for a context, buffer type by buffer type, or would have allocated.

Two functions of C++ tell it, which the library exports but no header offers to C. So the layout of
a std::map is spelled out here, for the C++ libraries of GCC (Linux) and LLVM (macOS).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

from llmparams_cli.backends.llama.native.library import function, ggml, llama

BREAKDOWN = "_Z26llama_get_memory_breakdownPK13llama_context"
GET_TENSOR = "_ZNK11llama_model10get_tensorEPKc"
BUILT_BY_GCC = "_Z29llama_internal_get_tensor_mapB5cxx11PK11llama_model"  # B5cxx11: GCC's strings
MOST_BUFFERS = 100  # types; more would mean that the map was misread
TENSOR_BUFFER = 8  # offset of `buffer` in struct ggml_tensor
DEVICE_CPU = 0  # enum ggml_backend_dev_type


class Buffer(NamedTuple):
    """Bytes in buffers of one type. `device` is None for the computer's own memory."""

    name: str
    device: str | None
    weights: int
    cache: int
    compute: int


class _Layout(NamedTuple):
    """Which words of a std::map and of its nodes hold what."""

    root: int
    length: int
    left: int
    right: int


GCC = _Layout(root=2, length=5, left=2, right=3)
LLVM = _Layout(root=1, length=2, left=0, right=1)
VALUE = 4  # in both, the first word of a node's value: buffer type, weights, cache, compute


class _Map(ctypes.Structure):
    _fields_ = [("words", ctypes.c_size_t * 6)]  # the larger one, GCC's


def buffers(context: int) -> list[Buffer] | None:
    """All buffers of a llama_context and of its model; None where the library does not tell."""
    library = llama()._lib
    if not hasattr(library, BREAKDOWN):
        return None
    layout = GCC if hasattr(library, BUILT_BY_GCC) else LLVM
    # The map's nodes are never freed: a hundred bytes for each buffer type.
    found = function(library[BREAKDOWN], _Map, ctypes.c_void_p)(context).words
    if found[layout.length] > MOST_BUFFERS:
        return None
    return [_buffer(*node[VALUE:]) for node in _nodes(found[layout.root], layout)]


def place_of(model: int, tensor: str) -> tuple[str, str | None]:
    """The buffer type that holds a tensor of a llama_model, and its device (None: the computer's
    own memory). The type is empty where the library does not tell.
    """
    found = tensor_of(model, tensor)
    buffer = ctypes.c_void_p.from_address(found + TENSOR_BUFFER).value if found else None
    if not buffer:
        return "", None
    type_of = function(ggml().ggml_backend_buffer_get_type, ctypes.c_void_p, ctypes.c_void_p)
    type = type_of(buffer)
    return _name(type), _device(type)


def tensor_of(model: int, name: str) -> int | None:
    """The address of a tensor of a llama_model; None if there is none, or the library does not
    tell.
    """
    library = llama()._lib
    if not hasattr(library, GET_TENSOR):
        return None
    get = function(library[GET_TENSOR], ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    found: int | None = get(model, name.encode())
    return found


def _nodes(address: int, layout: _Layout) -> Iterator[Any]:
    if address:
        node = (ctypes.c_size_t * 8).from_address(address)
        yield from _nodes(node[layout.left], layout)
        yield node
        yield from _nodes(node[layout.right], layout)


def _buffer(type: int, weights: int, cache: int, compute: int) -> Buffer:
    return Buffer(_name(type), _device(type), weights, cache, compute)


def _name(type: int) -> str:
    name = function(ggml().ggml_backend_buft_name, ctypes.c_char_p, ctypes.c_void_p)
    return str(name(type), "utf-8", "replace")


def _device(type: int) -> str | None:
    base, pointer = ggml(), ctypes.c_void_p
    device = function(base.ggml_backend_buft_get_device, pointer, pointer)(type)
    on_host = function(base.ggml_backend_buft_is_host, ctypes.c_bool, pointer)(type)
    kind = function(base.ggml_backend_dev_type, ctypes.c_int, pointer)
    if not device or on_host or kind(device) == DEVICE_CPU:
        return None
    name = function(base.ggml_backend_dev_name, ctypes.c_char_p, pointer)
    return str(name(device), "utf-8", "replace")
