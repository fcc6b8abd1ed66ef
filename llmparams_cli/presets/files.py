"""Reading the files that a person may write, and naming them in messages."""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 1_000_000


def read_text(path: Path) -> str:
    """Read a UTF-8 file of at most 1 MB; a ValueError says why that is not possible."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from error
    if len(data) > MAX_BYTES:
        raise ValueError("larger than 1 MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"0x{data[error.start]:02x}"
        raise ValueError(f"not UTF-8 text: the byte {byte} in line {line}") from error


def resolve(text: str, directory: Path) -> Path:
    """The path that `text` means when it is written in `directory`."""
    return Path(os.path.normpath(directory / os.path.expanduser(text)))


def shipped_directory() -> Path:
    """The presets that come with the program: in the wheel, or else in its repository."""
    package = Path(__file__).parent.parent
    wheel = package / "_presets"
    return wheel if wheel.is_dir() else package.parent / "presets"


def shown(path: Path, directory: Path) -> str:
    """`path` as people know it, seen from the working directory `directory`."""
    # In a checkout of this program, the shipped presets are the project's own files.
    if path.parent == shipped_directory() != directory / "presets":
        return f"llmparams:{path.name}"
    if path.is_relative_to(directory):
        return str(path.relative_to(directory))
    home = os.path.expanduser("~")
    if path.is_relative_to(home):
        return str(Path("~") / path.relative_to(home))
    return str(path)
