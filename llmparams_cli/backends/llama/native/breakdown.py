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


class _GccMap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("order", "colour", "root", "a", "b", "count")]


class _GccNode(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("colour", "parent", "left", "right", "type", "weights", "cache", "compute")
    ]


class _LlvmMap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("first", "root", "count")]


class _LlvmNode(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("left", "right", "parent", "colour", "type", "weights", "cache", "compute")
    ]


def buffers(context: int) -> list[Buffer] | None:
    """All buffers of a llama_context and of its model; None where the library does not tell."""
    library = llama()._lib
    if not hasattr(library, BREAKDOWN):
        return None
    by_gcc = hasattr(library, BUILT_BY_GCC)
    result = _GccMap if by_gcc else _LlvmMap
    # The map's nodes are never freed: a hundred bytes for each buffer type.
    found = function(library[BREAKDOWN], result, ctypes.c_void_p)(context)
    if found.count > MOST_BUFFERS:
        return None
    return [_buffer(node) for node in _nodes(found.root, _GccNode if by_gcc else _LlvmNode)]


def buffer_of(model: int, tensor: str) -> str:
    """The name of the buffer type that holds a tensor of a llama_model; empty: unknown."""
    library = llama()._lib
    if not hasattr(library, GET_TENSOR):
        return ""
    get = function(library[GET_TENSOR], ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    found = get(model, tensor.encode())
    buffer = ctypes.c_void_p.from_address(found + TENSOR_BUFFER).value if found else None
    if not buffer:
        return ""
    type_of = function(ggml().ggml_backend_buffer_get_type, ctypes.c_void_p, ctypes.c_void_p)
    return _name(type_of(buffer))


def _nodes(address: int, kind: Any) -> Iterator[Any]:
    if address:
        node = kind.from_address(address)
        yield from _nodes(node.left, kind)
        yield node
        yield from _nodes(node.right, kind)


def _buffer(node: Any) -> Buffer:
    return Buffer(_name(node.type), _device(node.type), node.weights, node.cache, node.compute)


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
