"""Builds the wrongly built llama.cpp of `faulty_library.c`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import CHECKOUT

SOURCE = Path(__file__).with_name("faulty_library.c")
LIST_BUFFERS = (
    "from llmparams_cli.backends.llama.host import buffers; print(*buffers.extra_buffers())"
)


def build(directory: Path) -> Path:
    """Compile it into `directory`; skips the test where that is not possible."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a faulty library takes Linux and a C compiler")
    target = directory / "faulty.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    if "AMX" not in python(LIST_BUFFERS, LD_PRELOAD=str(target)).split():
        pytest.skip("this llama.cpp has no CPU_REPACK that could stand for AMX")
    return target


def python(code: str, *arguments: str, **variables: str) -> str:
    """What a new interpreter prints that runs `code`."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **variables},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
