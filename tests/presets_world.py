"""A directory tree for tests: a home, a project and a configuration, all in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmparams_cli.env import Environment


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files by their paths below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def world(root: Path, files: Mapping[str, str] | None = None, **variables: str) -> Environment:
    """An environment in `root`/project with the configuration `root`/config."""
    write(root, files or {})
    (root / "project").mkdir(exist_ok=True)
    settings = {"LLMPARAMS_CONFIG_DIR": str(root / "config"), **variables}
    return Environment(variables=settings, directory=root / "project")
