"""The hidden folder in which a model is put together, and its appearance under its name.

MODELS_DIR/.pulling/smollm2/      grows, and survives a Ctrl-C: the next pull goes on
MODELS_DIR/.pulling/smollm2.lock  held by the one process that writes there
MODELS_DIR/smollm2/               the same folder, renamed when everything is whole and checked
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from llmparams_cli.download.transfer import PART, writing
from llmparams_cli.errors import ModelError
from llmparams_cli.files import free_space, lock
from llmparams_cli.models.pulled import RECORD, Pulled, PulledFile, all_pulled, folder, read, write
from llmparams_cli.text.units import size_text

STAGED = ".pulling"
WATCH = 0.2  # seconds between two looks at a lock
SPARE = 50_000_000  # bytes that a disk shall have left


class Staging:
    """The folder of one model while it is pulled; a context manager that holds its lock."""

    def __init__(self, models: Path, name: str, note: Callable[[str], None]) -> None:
        self.models = models
        self.final = folder(models, name)
        self.place = folder(models / STAGED, name)
        self._name = name
        self._note = note
        self._lock = self.place.with_name(self.place.name + ".lock")
        self._handle = -1

    def __enter__(self) -> Staging:
        with writing(self.place):
            while not self._try_to_lock():
                self._note(f"{self._name} is being pulled by another program: waiting for it")
                time.sleep(WATCH)
            self.place.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            if not self.present():
                remove(self.place)
            if not self.place.exists():
                os.unlink(self._lock)
        os.close(self._handle)
        with contextlib.suppress(OSError):
            self.place.parent.rmdir()  # if no other pull is going on or was broken off

    def _try_to_lock(self) -> bool:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._handle = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o666)
        except FileNotFoundError:  # who was done in this moment has removed the directory
            return False
        if self._has_lock():
            return True
        os.close(self._handle)
        return False

    def _has_lock(self) -> bool:
        try:
            lock(self._handle)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        # Who held it may have removed the file: then this lock is on nothing.
        try:
            return os.path.samestat(os.stat(self._lock), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def keep_only(self, files: Iterable[PulledFile], besides: str = "") -> None:
        """Remove what does not belong to these files, such as parts of an older revision;
        `besides` is another name that may stay.

        The plan of the earlier try tells: its files are ours if they have the same checksum.
        """
        plan = read(self.place)
        before = {file.name: file for file in plan.files} if plan else {}
        wanted = [file for file in files if before.get(file.name) == file and file.sha256]
        kept = {file.name for file in wanted} | {file.name + PART for file in wanted}
        kept.add(besides)
        with writing(self.place):
            for path in self.place.iterdir():
                if path.name not in kept:
                    remove(path)

    def present(self) -> int:
        """The bytes of the model that are here already."""
        return _bytes_in(self.place)

    def plan(self, pulled: Pulled) -> None:
        """Write down what will be here, for the next try and for the finished model."""
        with writing(self.place):
            write(pulled, self.place.parent)

    def complete(self, pulled: Pulled) -> None:
        """Everything is here and checked: let the model appear, in place of an older one. What else
        was in that one's folder stays.
        """
        self.plan(pulled)
        with writing(self.final):
            old = self.place.with_name(self.place.name + ".old")
            before = read(self.final)
            records = (before, pulled) if before else (pulled,)
            ours = {RECORD, *(file.name for record in records for file in record.files)}
            if self.final.exists():
                self._supersede(old, ours)  # of a pull that was killed in this place
                os.rename(self.final, old)
            os.rename(self.place, self.final)
            self._supersede(old, ours)

    def _supersede(self, old: Path, ours: Collection[str]) -> None:
        """Remove an older model; what of its folder is not ours goes over into the new one."""
        if old.is_dir() and not old.is_symlink():
            for path in old.iterdir():
                if path.name not in ours and not (self.final / path.name).exists():
                    os.rename(path, self.final / path.name)
        remove(old)


def unfinished(models: Path) -> list[tuple[str, int]]:
    """The models whose pull goes on or was broken off: their names, and the bytes of each."""
    plans = [(plan, folder(models / STAGED, plan.name)) for plan in all_pulled(models / STAGED)]
    return [(plan.name, _bytes_in(place)) for plan, place in plans]


def _bytes_in(place: Path) -> int:
    paths = (path for path in place.rglob("*") if path.name != RECORD)
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_space(models: Path, needed: int) -> None:
    """Raise ModelError if the disk has not this many bytes, and some to spare."""
    free = free_space(models)
    if free is not None and needed + SPARE > free:
        raise ModelError(
            f"{size_text(needed)} are needed in {models}, and {size_text(free)} are free",
            "make room, or set LLMPARAMS_MODELS_DIR to a directory on a larger disk",
        )


def remove(path: Path) -> None:
    """Remove a file or a directory with everything in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)  # a pip that outlived its pull may write there
    else:
        path.unlink(missing_ok=True)
