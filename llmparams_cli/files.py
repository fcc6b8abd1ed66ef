"""Files: read as UTF-8, resolved and displayed by path, locked, written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # as `write_whole` names them
LEFT_AFTER = 60  # seconds; writing takes less than one
MOST_SETTINGS = 1_000_000  # bytes of a preset, or of another file with values
CHUNK = 1 << 20  # bytes that are read at a time


def decode(data: bytes) -> str:
    """Decode a file or standard input: no byte order mark, and lines that end in \\n.

    Raises ValueError, which names the first byte that is not UTF-8 and the cure.
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
    """Read a text file of at most `most` bytes; raises ValueError with the reason."""
    try:
        with open(path, "rb") as file:
            # One byte more than allowed tells a file that is too large; its size would not do:
            # a pipe has none.
            data = file.read() if most is None else file.read(most + 1)
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from error
    if most is not None and len(data) > most:
        raise ValueError(f"larger than {most // 1_000_000} MB")
    return decode(data)


def read_regular(path: Path, most: int) -> str:
    """`read_text` where others put files: nothing but a regular file, as a pipe might keep us
    waiting for ever.
    """
    if not path.is_file():
        raise ValueError("not a file")
    return read_text(path, most)


def sha256(*paths: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """The SHA-256 of files, one after the other, in hexadecimal; `report` is told how many more
    bytes were read.
    """
    import hashlib

    digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                report(count)
    return digest.hexdigest()


def resolve_path(text: str, directory: Path) -> Path:
    """The absolute path that `text` means, relative to `directory`; ~ is the home directory."""
    # normpath rather than realpath: messages name the path the user wrote, not a link's target.
    return Path(os.path.normpath(directory / os.path.expanduser(text)))


def display_path(path: Path, directory: Path) -> str:
    """The path as people write it: relative to the working directory, or with ~."""
    if path.is_relative_to(directory):
        return str(path.relative_to(directory))
    home = os.path.expanduser("~")
    if path.is_relative_to(home):
        return str(Path("~") / path.relative_to(home))
    return str(path)


def make_folder(path: Path, *, private: bool) -> None:
    """Make a folder and those above it; `private` keeps all new ones from other users, whatever the
    umask says.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True, mode=0o700 if private else 0o777)


def write_whole(
    path: Path,
    content: str | bytes,
    *,
    private: bool = False,
    replace: bool = True,
    parents: bool = False,
    durable: bool = True,
) -> None:
    """Write a file atomically (text as UTF-8): readers see the old content or the new. What is no
    regular file, such as a pipe or a device, is written to as it is.

    `private` keeps it from other users. Without `replace`, an existing file raises
    FileExistsError. With `parents`, missing directories are made. A file that is not
    `durable` is written much faster, but may be lost or empty after a power cut.
    """
    data = content.encode() if isinstance(content, str) else content
    if replace and _is_special(path):
        # By the path as it was given: what /dev/fd/63 links to has no path of its own.
        with open(path, "wb") as stream:
            stream.write(data)
        return
    path = Path(os.path.realpath(path))  # what a link points to is written, not the link
    if parents:
        make_folder(path.parent, private=private)
        if private:  # a folder of our own
            sweep(path.parent)
    with appearing(path, private=private, replace=replace, durable=durable) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def appearing(
    path: Path, *, private: bool = False, replace: bool = True, durable: bool = True
) -> Iterator[Path]:
    """A new file beside `path`, to be written in the block. When the block ends it takes the place
    of `path`, as `write_whole` says; when it is left by an error nothing remains.
    """
    # In the same directory, because a rename is atomic only within one file system.
    path = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            lock(handle)  # tells `remove_left` that somebody still writes here
        yield Path(name)
        if durable:
            os.fsync(handle)
        os.chmod(name, _mode(path, private))  # mkstemp lets nobody else read its files
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)  # unlike a rename, it fails if the file exists
    finally:
        os.close(handle)
        # After a rename there is nothing left to remove.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def remove_left(path: Path) -> None:
    """Delete what a killed process left of `appearing` beside this path, and nobody writes to."""
    path = Path(os.path.realpath(path))
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        with contextlib.suppress(OSError), open(left, "rb") as file:
            lock(file.fileno())
            _remove_old(left)


def lock(handle: int) -> None:
    """Lock an open file until it is closed; raises BlockingIOError if another process has it.
    Windows has no such lock: there nothing happens.
    """
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(folder: Path) -> None:
    """Delete what a killed process left of `write_whole` in a folder of this program's own."""
    for path in (folder / name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)):
        with contextlib.suppress(OSError):  # gone meanwhile
            _remove_old(path)


def free_space(directory: Path) -> int | None:
    """The free bytes of the disk on which a directory is or would be made; None: unknown."""
    for place in (directory, *directory.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _remove_old(path: Path) -> None:
    if path.stat().st_mtime < time.time() - LEFT_AFTER:
        path.unlink()


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # it does not exist
        return False


def _mode(path: Path, private: bool) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    if private:
        return 0o600
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        umask = os.umask(0)  # it can only be read by setting it
        os.umask(umask)
        return 0o666 & ~umask
