"""What doctor says about GPUs: those there are, and why there are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli.backends.llama.machine import devices, library
from llmparams_cli.protocol import Check, Health
from llmparams_cli.text.units import size_text

# Device files of GPU drivers, and the option that builds llama.cpp for them.
GPU_DRIVERS = {"/dev/nvidiactl": ("NVIDIA", "GGML_CUDA"), "/dev/kfd": ("AMD", "GGML_HIP")}
# Backends: the variable that chooses among a system's GPUs, and the tool that lists them.
GPU_BACKENDS = {
    "CUDA": ("CUDA_VISIBLE_DEVICES", "nvidia-smi"),
    "ROCm": ("HIP_VISIBLE_DEVICES", "rocminfo"),
    "Vulkan": ("GGML_VK_VISIBLE_DEVICES", "vulkaninfo --summary"),
}


def checks() -> Iterator[Check]:
    """The GPUs that there are, and why one that there may be is not used."""
    backends = devices.backends()
    yield Check("gpu", "backends", " ".join(backends))
    used = {device.name for device in devices.gpus()}
    for device in devices.devices():
        if device.is_gpu:
            memory = f"{size_text(device.free)} free of {size_text(device.total)}"
            unused = "" if device.name in used else "; not used: there are others"
            yield Check("gpu", device.name, f"{device.description}, {memory}{unused}")
    if not used:
        unheard = _unused_driver() if backends == ["CPU"] else _missing_gpu(backends)
        yield unheard or Check("gpu", "devices", "none: the CPU does all the work")


def _unused_driver() -> Check | None:
    """A GPU that this library was not built for."""
    for file, (maker, option) in GPU_DRIVERS.items():
        if Path(file).exists():
            return _warning(
                maker,
                "there is a driver, but this library has no GPU backend",
                library.install_command(f"-D{option}=ON", again=True),
            )
    return None


def _missing_gpu(backends: list[str]) -> Check | None:
    """A library that was built for a GPU and finds none."""
    for backend, (variable, tool) in GPU_BACKENDS.items():
        if backend not in backends:
            continue
        found = f"none: {backend} finds no GPU"
        if (value := os.environ.get(variable)) is not None:
            return _warning("devices", f"{found} with {variable}={value}", f"unset {variable}")
        software = f"; a CPU as a device (lavapipe) must be named: {variable}=0"
        cure = f"`{tool}` shows what the system has"
        return _warning("devices", found, cure + software * (backend == "Vulkan"))
    return None


def _warning(name: str, value: str, cure: str) -> Check:
    return Check("gpu", name, value, Health.WARN, cure)
