"""The folder of an unfinished run, beside the file that it makes: OUT.tune/.

    run.json        what the run is: the same command finds itself again in it
    metrics.jsonl   a line for every step and every check
    base.gguf       the model in F32, from which the run starts
    best.gguf       the model at its best check; best-adapter.gguf: its adapter
    now.gguf        the model at the last check
    state.npz       all that the trainer needs to go on after the last check

Every file but metrics.jsonl appears when it is whole. At a check the model comes first and the
state last: whenever the program is killed, the state is that of a check whose files are there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli.analysis.tuning import Check, Stride
from llmparams_cli.errors import UsageError
from llmparams_cli.files import appearing, remove_left, write_whole
from llmparams_cli.records.journal import Journal

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    State = Mapping[str, NDArray[float32]]

SUFFIX = ".tune"
RUN, METRICS, BASE, BEST, BEST_ADAPTER, NOW, STATE = (
    "run.json", "metrics.jsonl", "base.gguf", "best.gguf", "best-adapter.gguf", "now.gguf",
    "state.npz",
)  # fmt: skip
FILES = (RUN, BASE, BEST, BEST_ADAPTER, NOW, STATE)  # which appear when they are whole
BEFORE = -1  # a step before all checks
DATE = "date"
POSITION = "position"  # of the state's arrays the one that holds the rest, as JSON


class RunFolder:
    """An unfinished run on the disk, open for one program at a time. `strides` and `checks` are
    those up to its state, `position` is what was saved with that; both empty in a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.strides: list[Stride] = []
        self.checks: list[Check] = []
        self.position: dict[str, Any] = {}
        self._is_closed = False
        path.mkdir(exist_ok=True)
        try:
            self._metrics = Journal(path / METRICS, self._read)
        except BlockingIOError as error:
            raise UsageError(f"{path}: this run goes on already", "wait for its end") from error
        for name in FILES:
            remove_left(path / name)

    def file(self, name: str) -> Path:
        return self.path / name

    def begin(self, run: Mapping[str, Any]) -> None:
        """Write down what the run is."""
        write_whole(self.file(RUN), json.dumps(run, indent=1) + "\n")

    def has_begun(self) -> bool:
        return self.file(RUN).exists()

    def run(self) -> dict[str, Any]:
        """What the run is. Raises UsageError if the file is not as `begin` wrote it."""
        try:
            found = json.loads(self.file(RUN).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.file(RUN)}: {error}", "--force begins anew") from error
        return dict(found)

    def log(self, *entries: Stride | Check) -> None:
        """Append steps and checks to the metrics."""
        self._metrics.append(*(_line(each) for each in entries))

    def save(self, state: State, position: Mapping[str, Any]) -> None:
        """Keep a trainer's state, and where the run is."""
        import numpy as np

        text = np.frombuffer(json.dumps(position).encode(), np.uint8)
        arrays: dict[str, Any] = {POSITION: text, **state}
        with appearing(self.file(STATE)) as path, path.open("wb") as file:
            np.savez(file, **arrays)

    def load(self) -> State | None:
        """The state that was kept, if one was. Steps and checks after it are forgotten, as they
        will be made again. Raises UsageError if the file is damaged.
        """
        import zipfile

        import numpy as np

        if not self.file(STATE).exists():
            self._forget(BEFORE)
            return None
        try:
            with (
                self.file(STATE).open("rb") as file,
                np.load(file, allow_pickle=False) as found,
            ):
                arrays = {name: found[name] for name in found.files}
            self.position = dict(json.loads(arrays.pop(POSITION).tobytes()))
            self._forget(int(self.position["step"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{self.file(STATE)}: {error}", "--force begins anew") from error
        return arrays

    def clear(self) -> None:
        """Forget an unfinished run, to begin another."""
        self._unlink()
        self._forget(BEFORE)

    def remove(self, metrics: Path | None = None) -> None:
        """The run is over; its metrics go to this file, if one is given."""
        if metrics is not None:
            os.replace(self.file(METRICS), metrics)
        self._unlink()
        self.close()

    def close(self) -> None:
        """Leave it as it is; without a state there is nothing in it to go on from."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self.file(STATE).exists():
            self._unlink()
            self.file(METRICS).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something of the user's is in it
                self.path.rmdir()
        self._metrics.close()

    def _unlink(self) -> None:
        """Remove all but the metrics, and what a killed program left of it; nobody else writes
        here.
        """
        for name in FILES:
            for path in (self.file(name), *self.path.glob(f".{name}.????????")):
                path.unlink(missing_ok=True)

    def _read(self, lines: Iterator[bytes]) -> None:
        for number, line in enumerate(lines, 1):
            try:
                entry = _entry(json.loads(line))
            except (ValueError, TypeError) as error:
                place = f"{self.path / METRICS}:{number}"
                raise UsageError(f"{place}: {error}", "--force begins anew") from error
            if isinstance(entry, Stride):
                self.strides.append(entry)
            else:
                self.checks.append(entry)

    def _forget(self, step: int) -> None:
        """Drop the steps and checks after this step from the metrics, if there are any."""
        kept = [each for each in self.strides if each.step <= step]
        checks = [each for each in self.checks if each.step <= step]
        if len(kept) + len(checks) == len(self.strides) + len(self.checks):
            return
        self.strides, self.checks = kept, checks
        entries: list[Stride | Check] = [*checks, *kept]
        entries.sort(key=lambda each: (each.step, isinstance(each, Check)))
        self._metrics.close()
        write_whole(self.file(METRICS), b"".join(map(_line, entries)))
        self.strides, self.checks = [], []
        self._metrics = Journal(self.file(METRICS), self._read)


def folder_of(target: Path) -> Path:
    """Where an unfinished run that makes this file is kept."""
    return target.with_name(f"{target.name}{SUFFIX}")


def refuse_foreign(path: Path) -> None:
    """Raise UsageError for a path that is no run of this program: nothing of it is touched."""
    is_folder = path.is_dir() and not path.is_symlink()
    if path.is_symlink() or (path.exists() and not is_folder):
        raise UsageError(f"{path} is in the way: it is no folder", "move it, or name another OUT")
    if is_folder and any(path.iterdir()) and not (path / METRICS).exists():
        raise UsageError(f"{path} is in the way: it is no run", "move it, or name another OUT")


def date_of(target: Path) -> str:
    """The date (ISO 8601) on which the unfinished run that makes this file began; empty if there is
    none.
    """
    try:
        run = json.loads((folder_of(target) / RUN).read_text(encoding="utf-8"))
        return str(run[DATE])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def metrics_of(target: Path) -> Path:
    """Where the metrics of a run that made this file stay."""
    return target.with_name(f"{target.name}.{METRICS}")


def _line(entry: Stride | Check) -> bytes:
    kind = "step" if isinstance(entry, Stride) else "check"
    return json.dumps({"kind": kind, **asdict(entry)}).encode() + b"\n"


def _entry(read: Any) -> Stride | Check:
    if not isinstance(read, dict):
        raise ValueError("not an object")
    kind = read.pop("kind", None)
    if kind == "check":
        return Check(**{**read, "answers": tuple(read["answers"])})
    if kind == "step":
        return Stride(**read)
    raise ValueError("neither a step nor a check")
