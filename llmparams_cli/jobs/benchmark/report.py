"""What was tested, and on what: the facts that stand beside every rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmparams_cli import __version__
from llmparams_cli.analysis.benchmark import Subject
from llmparams_cli.backends.llama.machine import devices, hardware, library
from llmparams_cli.jobs.benchmark.wanted import Test


def subjects(tests: Sequence[Test]) -> list[Subject]:
    """The models, each once."""
    found = {test.name: test.model.header for test in tests}
    return [
        Subject(
            name,
            str(header.path),
            header.architecture,
            header.quantization,
            sum(tensor.bytes for tensor in header.tensors),
            header.parameters,
        )
        for name, header in found.items()
    ]


def machine() -> dict[str, Any]:
    """The machine and the library."""
    others = [name for name in devices.backends() if name != "CPU"]
    return {
        "processor": hardware.processor().model,
        "cpus": hardware.usable_cpus(),
        "gpus": [gpu.description for gpu in devices.gpus()],
        "backend": ",".join(others) or "CPU",
        "llmparams": __version__,
        "llama.cpp": str(library.llama().llama_version(), "utf-8"),
    }
