"""What trials of the library found out about this machine, kept from one run to the next."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from llmparams_cli import APP, __version__
from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.native import library
from llmparams_cli.files import write_whole

ENTRIES = 8  # remembered: several machines and libraries may share one cache directory
MODELS = 64  # of which it is known how many sequences they can have

Found = TypeVar("Found")


@dataclass(frozen=True)
class Finding:
    """The fastest mode that works for one type of weights.

    `failures` says what happens in the faster ones: "crashes (SIGSEGV)", ….
    """

    mode: WeightMode
    failures: dict[WeightMode, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sequences:
    """How many sequences a model can have in one context: `works` is the largest number that was
    right, `fails` the smallest that was not (0: none was wrong), `failure` what happened then.
    """

    works: int = 1
    fails: int = 0
    failure: str = ""

    def after(self, count: int, failure: str) -> Sequences:
        """With the result of one more trial; `failure` is empty if `count` sequences were right."""
        if failure:
            return Sequences(self.works, count, failure)
        return Sequences(count, self.fails, self.failure)


class Memory:
    """What was found out about this machine and library: one entry of the file probe.json.

    An unreadable file counts as empty; one that cannot be written stays as it is.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "probe.json"
        self._key = _identity()
        self._others = self._read()
        own = self._others.pop(self._key, {})
        own = own if isinstance(own, dict) else {}
        self.told = bool(own.get("told"))
        self._findings = _parsed(own.get("findings"), _finding)
        self._sequences = _parsed(own.get("sequences"), _number)

    @property
    def types(self) -> list[str]:
        return list(self._findings)

    def recall(self, type: str) -> Finding | None:
        return self._findings.get(type)

    def learn(self, type: str, finding: Finding) -> None:
        self._findings[type] = finding
        self._write()

    def recall_sequences(self, model: str) -> Sequences:
        return self._sequences.get(model, Sequences())

    def learn_sequences(self, model: str, found: Sequences) -> None:
        self._sequences.pop(model, None)  # so that it moves to the end: the oldest are dropped
        self._sequences = dict([*self._sequences.items(), (model, found)][-MODELS:])
        self._write()

    def forget(self) -> None:
        """All results of trials, so that they are tried again."""
        self._findings, self._sequences = {}, {}
        self._write()

    def tell(self) -> None:
        """Remember that the user knows."""
        self.told = True
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self) -> None:
        own = {
            "told": self.told,
            "findings": {type: asdict(found) for type, found in self._findings.items()},
            "sequences": {model: asdict(found) for model, found in self._sequences.items()},
        }
        # The own entry is the last one, so the oldest of the others go.
        kept = dict([*self._others.items(), (self._key, own)][-ENTRIES:])
        with suppress(OSError):
            write_whole(
                self._path, json.dumps(kept, indent=1), parents=True, private=True, durable=False
            )


def _parsed(entry: Any, parse: Callable[[Any], Found]) -> dict[str, Found]:
    """What is in a part of an entry; nothing if that is damaged."""
    try:
        return {str(name): parse(found) for name, found in entry.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _finding(found: Any) -> Finding:
    failures = {WeightMode(mode): str(what) for mode, what in found["failures"].items()}
    return Finding(WeightMode(found["mode"]), failures)


def _number(found: Any) -> Sequences:
    return Sequences(max(1, int(found["works"])), int(found["fails"]), str(found["failure"]))


def _identity() -> str:
    """Everything that the result depends on."""
    processor = hardware.processor()
    flags = zlib.crc32(" ".join(sorted(processor.flags)).encode())
    files = (library.path_of(stem) for stem in ("llama", "ggml-cpu"))
    builds = (f"{file} {_stamp(file)}" for file in files if os.path.exists(file))
    return " | ".join(
        (f"{processor.model} {flags:08x}", hardware.kernel(), *builds, f"{APP} {__version__}")
    )


def _stamp(file: str) -> str:
    status = os.stat(file)
    return f"{status.st_size} {status.st_mtime_ns}"
