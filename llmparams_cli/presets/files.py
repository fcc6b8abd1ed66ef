"""The presets that come with the program, and how preset files are named in messages."""

from __future__ import annotations

import stat
from pathlib import Path

from llmparams_cli.files import display_path


def shipped_directory() -> Path:
    """The presets that come with the program: inside the wheel, or in a checkout of it."""
    package = Path(__file__).parent.parent
    wheel = package / "_presets"
    return wheel if wheel.is_dir() else package.parent / "presets"


def shown(path: Path, directory: Path) -> str:
    """A preset file's name in messages, relative to the working directory `directory`."""
    # In a checkout of this program the shipped presets are project files, shown by their path.
    if path.parent == shipped_directory() != directory / "presets":
        return f"llmparams:{path.name}"
    return display_path(path, directory)


def special(path: Path) -> str:
    """What a path leads to if reading it could wait for ever: 'a pipe'. Empty for files."""
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    try:
        return kinds.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:  # reading it tells the reason
        return ""
