"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


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
