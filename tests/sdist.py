"""llama.cpp's own test files, out of the source package that the installed library was made of."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from llmparams_cli.backends.llama.machine import library

PACKAGE = f"llama-cpp-python=={library.VERSION}"
FOLDER = "/vendor/llama.cpp/"
WANTED = ("models/", "grammars/", "tests/test-grammar-")


def models(factory: pytest.TempPathFactory) -> Path:
    """The folder `models` of llama.cpp: vocabularies, chat templates."""
    return sources(factory) / "models"


def sources(factory: pytest.TempPathFactory) -> Path:
    """llama.cpp's folder with what is wanted of it, unpacked once for all tests of a run, whichever
    of its processes asks for it first.

    pip fetches 77 MB with its own configuration; skips the test where it cannot.
    """
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "llama.cpp.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = shared / "llama.cpp"
        directory.mkdir(exist_ok=True)
        return directory if (directory / "whole").exists() else _fetched(directory)


def _fetched(directory: Path) -> Path:
    command = ["-m", "pip", "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, *command, "--quiet", "--dest", str(directory), PACKAGE],
        capture_output=True,
        text=True,
    )
    found = sorted(directory.glob("llama_cpp_python-*.tar.gz"))
    if not found:
        pytest.skip(f"PyPI cannot be reached from here: {done.stderr.strip()[-200:]}")
    with tarfile.open(found[0]) as archive:
        for member in archive:
            name = member.name.partition(FOLDER)[2]
            if member.isfile() and name.startswith(WANTED):
                data = archive.extractfile(member)
                assert data is not None
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data.read())
    found[0].unlink()
    (directory / "whole").touch()
    return directory
