"""Python processes of our own, in which the library may crash, hang or be broken off."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llmparams_cli
from llmparams_cli import APP


def folder() -> Any:
    """An empty directory for one: Python's -m looks for modules in the current directory first."""
    import tempfile

    return tempfile.TemporaryDirectory(prefix=f"{APP}-")


def module(name: str, *arguments: str) -> list[str]:
    """The command line that runs a module."""
    return [sys.executable, "-m", name, *arguments]


def surroundings(variables: Mapping[str, str], directory: str) -> dict[str, Any]:
    """Arguments for subprocess, with which the child imports the very modules of this process."""
    path = os.pathsep.join([str(Path(llmparams_cli.__file__).parents[1]), *filter(None, sys.path)])
    return {
        "cwd": directory,
        "env": {**variables, "PYTHONPATH": path},
        "start_new_session": True,  # Ctrl-C is for this process
    }
