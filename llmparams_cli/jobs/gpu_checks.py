"""What doctor says about GPUs: those there are, and why there are none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from llmparams_cli.backends.llama.machine import devices, library
from llmparams_cli.protocol import Check, Health
from llmparams_cli.text.units import size_text


class Backend(NamedTuple):
    """A backend for GPUs: the option that builds llama.cpp with it, the variable that chooses among
    a system's GPUs, and the tool that lists them.
    """

    option: str
    variable: str
    tool: str


BACKENDS = {
    "CUDA": Backend("-DGGML_CUDA=ON", "CUDA_VISIBLE_DEVICES", "nvidia-smi"),
    "ROCm": Backend("-DGGML_HIP=ON", "HIP_VISIBLE_DEVICES", "rocminfo"),
    "Vulkan": Backend("-DGGML_VULKAN=ON", "GGML_VK_VISIBLE_DEVICES", "vulkaninfo --summary"),
}
# Device files of drivers: whose GPUs they are for, and the backend.
DRIVERS = {"/dev/nvidiactl": ("NVIDIA", "CUDA"), "/dev/kfd": ("AMD", "ROCm")}


def rebuild_command() -> str:
    """The command that builds the library again, for the GPUs that this one is built for."""
    there = devices.backends()
    options = [backend.option for name, backend in BACKENDS.items() if name in there]
    return library.install_command(*options, again=True)


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
    for file, (maker, backend) in DRIVERS.items():
        if Path(file).exists():
            return _warning(
                maker,
                "there is a driver, but this library has no GPU backend",
                library.install_command(BACKENDS[backend].option, again=True),
            )
    return None


def _missing_gpu(backends: list[str]) -> Check | None:
    """A library that was built for a GPU and finds none."""
    for name, (_, variable, tool) in BACKENDS.items():
        if name not in backends:
            continue
        found = f"none: {name} finds no GPU"
        if (value := os.environ.get(variable)) is not None:
            return _warning("devices", f"{found} with {variable}={value}", f"unset {variable}")
        software = f"; a CPU as a device (lavapipe) must be named: {variable}=0"
        cure = f"`{tool}` shows what the system has"
        return _warning("devices", found, cure + software * (name == "Vulkan"))
    return None


def _warning(name: str, value: str, cure: str) -> Check:
    return Check("gpu", name, value, Health.WARN, cure)
