"""What can compute: the CPU and the GPUs that the library found, each with its memory."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from llmparams_cli import APP
from llmparams_cli.backends.llama.native.library import function, ggml, ggml_registry

GPU, INTEGRATED_GPU = 1, 2  # enum ggml_backend_dev_type
TYPE_F32 = 0  # enum ggml_type
_NO_DEVICES = (ctypes.c_void_p * 1)()  # a list that ends at once


@dataclass(frozen=True)
class Device:
    """What can compute: its name and description, and its memory in bytes."""

    name: str
    description: str
    is_gpu: bool
    is_integrated: bool
    free: int
    total: int


def devices() -> list[Device]:
    """All devices that the library found, the CPU among them."""
    registry = ggml_registry()
    count = function(registry.ggml_backend_dev_count, ctypes.c_size_t)
    get = function(registry.ggml_backend_dev_get, ctypes.c_void_p, ctypes.c_size_t)
    return [_device(get(index)) for index in range(count())]


def gpus() -> list[Device]:
    """The GPUs that models are put on, as main_gpu and tensor_split count them: integrated ones
    only where there are no others (llama_prepare_model_devices).
    """
    found = [device for device in devices() if device.is_gpu]
    return [device for device in found if not device.is_integrated] or found


def why_none() -> str:
    """The reason why `gpus` is empty, in words."""
    if backends() == ["CPU"]:
        return "this library has no GPU backend"
    return f"this library finds no GPU ({APP} doctor tells more)"


def use_none(params: Any) -> None:
    """Keep a model that is loaded with `params` (llama_model_params) away from all GPUs. Without
    layers there, they would still compute long prompts, and weights would lie where no extra buffer
    type of the CPU can hold them.
    """
    params.devices = ctypes.addressof(_NO_DEVICES)


def divides_rows(name: str) -> bool:
    """Does a device's backend have split_mode row?"""
    base, pointer, text = ggml(), ctypes.c_void_p, ctypes.c_char_p
    device = function(ggml_registry().ggml_backend_dev_by_name, pointer, text)(name.encode())
    backend = function(base.ggml_backend_dev_backend_reg, pointer, pointer)(device)
    address = function(base.ggml_backend_reg_get_proc_address, pointer, pointer, text)
    return bool(address(backend, b"ggml_backend_split_buffer_type"))


def holds_tensor(name: str, size: int) -> bool:
    """Can a device work on a tensor of so many bytes? Some have a limit, far below their memory;
    on a larger one in its memory llama.cpp aborts.
    """
    base, pointer = ggml(), ctypes.c_void_p
    device = function(ggml_registry().ggml_backend_dev_by_name, pointer, ctypes.c_char_p)
    can = function(base.ggml_backend_dev_supports_op, ctypes.c_bool, pointer, pointer)
    start = function(base.ggml_init, pointer, _Workspace)
    tensor = function(base.ggml_new_tensor_1d, pointer, pointer, ctypes.c_int, ctypes.c_int64)
    end = function(base.ggml_free, None, pointer)
    workspace = start(_Workspace(1024, None, True))
    try:
        return bool(can(device(name.encode()), tensor(workspace, TYPE_F32, -(-size // 4))))
    finally:
        end(workspace)


class _Workspace(ctypes.Structure):
    """ggml_init_params: a place for tensors, here without their data."""

    _fields_ = [
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    ]


def backends() -> list[str]:
    """What the library was built for: "CPU", "CUDA", …."""
    registry = ggml_registry()
    count = function(registry.ggml_backend_reg_count, ctypes.c_size_t)
    get = function(registry.ggml_backend_reg_get, ctypes.c_void_p, ctypes.c_size_t)
    name = function(ggml().ggml_backend_reg_name, ctypes.c_char_p, ctypes.c_void_p)
    return [name(get(index)).decode() for index in range(count())]


def _device(handle: int) -> Device:
    base, text, size = ggml(), ctypes.c_char_p, ctypes.c_size_t
    free, total = size(), size()
    sizes = ctypes.POINTER(size)
    memory = function(base.ggml_backend_dev_memory, None, ctypes.c_void_p, sizes, sizes)
    memory(handle, ctypes.byref(free), ctypes.byref(total))
    name = function(base.ggml_backend_dev_name, text, ctypes.c_void_p)(handle)
    description = function(base.ggml_backend_dev_description, text, ctypes.c_void_p)(handle)
    kind = function(base.ggml_backend_dev_type, ctypes.c_int, ctypes.c_void_p)(handle)
    return Device(
        name.decode(),
        description.decode(),
        kind in (GPU, INTEGRATED_GPU),
        kind == INTEGRATED_GPU,
        free.value,
        total.value,
    )
