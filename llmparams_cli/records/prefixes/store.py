"""The folder of the prefix cache: a folder for every scope, in it a file for every segment.

Files appear whole or not at all, and are read without any lock. Whoever finds one missing or
damaged does without it, so any process may remove any file at any time. What was not used for the
longest time goes when the folder is larger than its limit.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from llmparams_cli import PREFIX
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import free_space, make_folder, sweep, write_whole
from llmparams_cli.records.prefixes import segment
from llmparams_cli.records.prefixes.segment import Damaged, Scope, Segment
from llmparams_cli.text.units import bytes_of

VARIABLE = f"{PREFIX}CACHE_SIZE"
LIMIT = 2_000_000_000  # bytes
LEFT_FREE = 1_000_000_000  # bytes of the disk that others may need
NAME = re.compile(r"[0-9a-f]{32}")


def limit(env: Environment) -> int:
    """How many bytes the user lets it take: LLMPARAMS_CACHE_SIZE, where 0 or off is none."""
    text = env.variables.get(VARIABLE) or str(LIMIT)
    try:
        return 0 if text.strip().lower() == "off" else bytes_of(text)
    except ValueError as error:
        raise UsageError(
            f"{VARIABLE}: {text!r} is no size", "such as 500MB or 8GB; off keeps nothing"
        ) from error


def directory(env: Environment) -> Path:
    """Where the files are."""
    return env.cache_dir / "prefixes"


def opened(env: Environment) -> Store:
    """The cache of this user."""
    return Store(directory(env), limit(env))


class File(NamedTuple):
    """A segment's file as the disk shows it; `used` is in nanoseconds."""

    path: Path
    size: int
    used: int


@dataclass
class Kept:
    """What is kept of a model, in all scopes; `used` is in nanoseconds since 1970."""

    name: str
    path: str
    folders: list[Path]
    segments: int = 0
    tokens: int = 0
    size: int = 0
    used: int = 0

    def is_called(self, text: str) -> bool:
        return text in (self.name, self.path, Path(self.path).name)


class Store:
    """The segments below a folder, of at most so many bytes together."""

    def __init__(self, place: Path, limit: int) -> None:
        self._place = place
        self.limit = limit

    def chain(self, scope: Scope, tokens: Sequence[int], block: int) -> list[Path]:
        """The files of a prompt's first blocks, as many as seem to be there."""
        found = []
        for path in self._paths(scope, tokens, block):
            if not path.is_file():
                break
            found.append(path)
        return found

    def read(self, path: Path, scope: Scope, tokens: Sequence[int]) -> Segment | None:
        """A segment that is whole and of these tokens; a damaged file is removed."""
        try:
            return segment.read(path, scope, tokens)
        except Damaged:
            self.remove([path])
        except (OSError, ValueError):
            pass
        return None

    def missing(self, scope: Scope, tokens: Sequence[int], block: int) -> dict[int, Path]:
        """The paths of those blocks of a prompt that are not kept yet, by the blocks' numbers."""
        return {
            number: path
            for number, path in enumerate(self._paths(scope, tokens, block))
            if not segment.is_of(path, scope, tokens[: (number + 1) * block])
        }

    def add(self, path: Path, content: bytes) -> None:
        """Write a segment; raises OSError, also where the disk is nearly full."""
        if not path.parent.exists():
            make_folder(path.parent, private=True)
        free = free_space(path.parent)
        if free is not None and free - len(content) < LEFT_FREE:
            raise OSError("the disk is nearly full")
        # What a power cut damages is found out by its checksum.
        write_whole(path, content, private=True, durable=False)

    def size(self, paths: Iterable[Path]) -> int:
        """How many bytes these files have."""
        size = 0
        for path in paths:
            with suppress(OSError):
                size += path.stat().st_size
        return size

    def remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with suppress(OSError):
                path.unlink()

    def use(self, paths: Sequence[Path]) -> None:
        """Note that these were used, the first of them last: what others build upon goes last."""
        now = time.time_ns()
        for number, path in enumerate(reversed(paths)):
            with suppress(OSError):
                os.utime(path, ns=(now + number, now + number))

    def prune(self) -> None:
        """Remove what was not used for the longest time, beyond the limit; what killed processes
        left; and folders that are empty.
        """
        size = 0
        for file in sorted(self._files(), key=lambda file: file.used, reverse=True):
            size += file.size
            if size > self.limit:
                self.remove([file.path])
        for folder in _entries(self._place):
            with suppress(OSError):
                sweep(Path(folder.path))
                os.rmdir(folder.path)  # which only an empty one lets happen

    def kept(self) -> list[Kept]:
        """What is kept of each model, the last used first."""
        found: dict[str, Kept] = {}
        for folder, files in groupby(self._files(), key=lambda file: file.path.parent):
            its = list(files)
            header = _header(its)
            path = header["path"] if header else str(folder)
            kept = found.setdefault(path, Kept(header["model"] if header else "unknown", path, []))
            kept.folders.append(folder)
            kept.segments += len(its)
            kept.tokens += len(its) * (header["block"] if header else 0)
            kept.size += sum(file.size for file in its)
            kept.used = max(kept.used, *(file.used for file in its))
        return sorted(found.values(), key=lambda kept: kept.used, reverse=True)

    def clear(self, models: Iterable[Kept]) -> None:
        """Remove all that is kept of these models. Processes that use it do without."""
        for folder in (folder for kept in models for folder in kept.folders):
            shutil.rmtree(folder, ignore_errors=True)

    def _paths(self, scope: Scope, tokens: Sequence[int], block: int) -> Iterator[Path]:
        folder = self._place / scope.id
        return (folder / name for name in segment.names(scope, tokens, block))

    def _files(self) -> Iterator[File]:
        """All segments' files, folder by folder, and no other file that lies there."""
        for folder in _entries(self._place):
            for entry in _entries(folder.path):
                with suppress(OSError):  # gone meanwhile
                    status = entry.stat(follow_symlinks=False)
                    yield File(Path(entry.path), status.st_size, status.st_mtime_ns)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What lies in a folder under a name of ours."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if NAME.fullmatch(entry.name)]
    except OSError:
        return []


def _header(files: Iterable[File]) -> dict[str, Any] | None:
    """What the first of these files that can be read says; all of a scope say the same."""
    for file in files:
        with suppress(OSError, ValueError), file.path.open("rb") as opened:
            return segment.header_of(opened)
    return None
