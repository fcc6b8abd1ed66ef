"""Layers on the GPU: which the library has, and how much of a model fits."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

from llmparams_cli.backends.llama.host.hardware import MEMORY_SHARE
from llmparams_cli.backends.llama.native.library import function, ggml, ggml_registry, llama
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings

SETTINGS = ("gpu_layers", "main_gpu", "split_mode", "tensor_split")
DEVICE_GPU = (1, 2)  # enum ggml_backend_dev_type: GPU, integrated GPU
ALL_LAYERS = -1


def layers(env: Environment, settings: Settings, needed: int, count: int) -> int:
    """How many layers go to the GPU (llama.cpp's n_gpu_layers; -1 for all), of a model with `count`
    layers that needs so many bytes, its KV cache included.
    """
    asked = settings["gpu_layers"]
    if not llama().llama_supports_gpu_offload():
        unheard = ", ".join(_wishes(settings))
        if unheard:
            env.note(f"{unheard}: this library has no GPU backend, so the CPU does all the work")
        return 0
    if asked == "all":
        return ALL_LAYERS
    if asked != "auto":
        return int(asked)
    return layers_that_fit(free_memory(), needed, count)


def _wishes(settings: Settings) -> Iterator[str]:
    """What the user asked of a GPU, with its origin."""
    for setting in map(settings.setting, SETTINGS):
        if setting.value not in (setting.param.default, 0):
            shown = setting.param.kind.show(setting.value)
            yield f"{setting.param.name} {shown} ({setting.origin})"


def layers_that_fit(free: int, needed: int, layers: int) -> int:
    """How many layers fit into `free` bytes, with `needed` bytes spread evenly over all of them."""
    usable = free * MEMORY_SHARE
    if needed <= usable:
        return ALL_LAYERS
    return int(usable / (needed / (layers + 1)))  # + 1: the output counts as a layer


def free_memory() -> int:
    """Free bytes on all GPUs together."""
    return sum(device.free for device in devices() if device.is_gpu)


@dataclass(frozen=True)
class Device:
    """What can compute: its name and description, and its memory in bytes."""

    name: str
    description: str
    is_gpu: bool
    free: int
    total: int


def devices() -> list[Device]:
    """All devices that the library found, the CPU among them."""
    registry = ggml_registry()
    count = function(registry.ggml_backend_dev_count, ctypes.c_size_t)
    get = function(registry.ggml_backend_dev_get, ctypes.c_void_p, ctypes.c_size_t)
    return [_device(get(index)) for index in range(count())]


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
    return Device(name.decode(), description.decode(), kind in DEVICE_GPU, free.value, total.value)
