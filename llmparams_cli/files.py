"""Files: read as UTF-8, found and shown by their paths, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

MOST_SETTINGS = 1_000_000  # bytes of a preset, or of another file with values


def decode(data: bytes) -> str:
    """The text of a file or of standard input: no byte order mark, and lines that end with \\n.
    A ValueError names the first byte that is not UTF-8, and the cure.
    """
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        at = error.start + len(data) - len(error.object)  # it does not count the mark
        line = data.count(b"\n", 0, at) + 1
        raise ValueError(
            f"not UTF-8: byte {at} (line {line}) is 0x{data[at]:02x}; convert it first, for "
            "example with iconv -f latin1 -t utf-8"
        ) from error


def read_text(path: Path, most: int | None = None) -> str:
    """The text of a file, of at most this many bytes; a ValueError says why it has none."""
    try:
        with open(path, "rb") as file:
            data = file.read() if most is None else file.read(most + 1)
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from error
    if most is not None and len(data) > most:
        raise ValueError(f"larger than {most // 1_000_000} MB")
    return decode(data)


def resolve_path(text: str, directory: Path) -> Path:
    """The path that `text` means when it is written in `directory`."""
    return Path(os.path.normpath(directory / os.path.expanduser(text)))


def display_path(path: Path, directory: Path) -> str:
    """The path as people write it, seen from the working directory."""
    if path.is_relative_to(directory):
        return str(path.relative_to(directory))
    home = os.path.expanduser("~")
    if path.is_relative_to(home):
        return str(Path("~") / path.relative_to(home))
    return str(path)


def write_whole(
    path: Path,
    content: str | bytes,
    *,
    private: bool = False,
    replace: bool = True,
    parents: bool = False,
    durable: bool = True,
) -> None:
    """Write a file, a text as UTF-8, beside its place, then move it there.

    `private` keeps it from other users. Without `replace`, FileExistsError is raised for
    a file that is there already. With `parents`, directories above are made. What need not
    be `durable` may be lost or empty after a power cut, and is written much faster.
    """
    path = Path(os.path.realpath(path))  # what a link points to is written, not the link
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, _mode(path, private))
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _mode(path: Path, private: bool) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    if private:
        return 0o600
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
