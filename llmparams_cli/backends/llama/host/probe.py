"""Does the library's fast path for quantised weights work on this processor?

A llama.cpp built by the wrong compiler dies in its AMX code at the first decode. So a child process
tries the weight modes on a tiny model, from the fastest to the slowest, and the result is
remembered for this processor, kernel and library.
"""

from __future__ import annotations

import json
import os
import signal
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from llmparams_cli import APP, __version__
from llmparams_cli.backends.llama.host import buffers, child, hardware, trial
from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.native import library
from llmparams_cli.backends.llama.native.crash import SIGNALS
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.files import write_whole
from llmparams_cli.models import builtin

USUAL_TYPES = ("Q4_0", "Q8_0", "Q4_K", "Q6_K")
PATIENCE = 60  # seconds for a trial that takes one or two
ENTRIES = 8  # remembered: several machines and libraries may share one cache directory
CRASHES = {getattr(signal, name): name for name in SIGNALS if hasattr(signal, name)}
LARGEST_EXIT_CODE = 255  # a larger one is the number of a Windows exception


@dataclass(frozen=True)
class Finding:
    """The fastest mode that works for one type of weights.

    `failures` says what happens in the faster ones: "crashes (SIGSEGV)", ….
    """

    mode: WeightMode
    failures: dict[WeightMode, str] = field(default_factory=dict)


class Untested(Exception):
    """A trial was not possible; the text says why."""


def choose(env: Environment, tensor_types: Iterable[str]) -> WeightMode:
    """The fastest mode that works for a model with these ggml types ("Q4_K", "F32", …).

    The user is told about a broken library once, and again when verbose.
    """
    types = with_fast_path(tensor_types)
    if not types:
        return WeightMode.FULL
    memory = Memory(env.cache_dir)
    try:
        found = [memory.recall(type) or _learn(env, memory, type) for type in types]
    except Untested as error:
        env.note(f"the fast path for quantised weights is not used: {error}")
        return WeightMode.PLAIN
    worst = max(found, key=lambda finding: list(WeightMode).index(finding.mode))
    if worst.failures and (env.verbose or not memory.told):
        env.note(f"{complaint(worst)}; `{APP} doctor` prints the command that repairs it")
        if not env.quiet:  # else the note was not shown
            memory.tell()
    return worst.mode


def with_fast_path(tensor_types: Iterable[str]) -> list[str]:
    """Those of the types that this library may rearrange for speed."""
    types = set(tensor_types) & set(trial.FILE_TYPES)
    return sorted(types) if types and buffers.extra_buffers() else []


def report(env: Environment, *, refresh: bool = False) -> dict[str, Finding]:
    """What works, for the usual types and all that were met so far; `refresh` tries them again.

    Raises Untested.
    """
    memory = Memory(env.cache_dir)
    return {
        type: (not refresh and memory.recall(type)) or _learn(env, memory, type)
        for type in with_fast_path([*USUAL_TYPES, *memory.types])
    }


def fault_of_library(env: Environment, model: Path | None = None) -> str:
    """Why the library does not load, or does not decode with `model`; empty if it does."""
    end = _run(env, *([str(model)] if model else []))
    return "" if end.code == 0 else end.reason


def complaint(finding: Finding) -> str:
    """What is wrong and what it costs, for a finding with failures."""
    fast = buffers.extra_buffers()[0]
    failure = next(iter(finding.failures.values()))
    cost = ", about three times slower" if fast == "AMX" else ""
    return (
        f"this build of llama.cpp {failure} in its fast path for "
        f"quantised weights ({fast}); its {finding.mode.value} path is used instead{cost}"
    )


class Memory:
    """What was found out about this machine and library: one entry of the file probe.json.

    An unreadable file counts as empty; one that cannot be written stays as it is.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "probe.json"
        self._key = _identity()
        self._others = self._read()
        self._findings, self.told = _parse(self._others.pop(self._key, {}))

    @property
    def types(self) -> list[str]:
        return list(self._findings)

    def recall(self, type: str) -> Finding | None:
        return self._findings.get(type)

    def learn(self, type: str, finding: Finding) -> None:
        self._findings[type] = finding
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
            "findings": {
                type: {"mode": finding.mode, "failures": finding.failures}
                for type, finding in self._findings.items()
            },
        }
        # The own entry is the last one, so the oldest of the others go.
        kept = dict([*self._others.items(), (self._key, own)][-ENTRIES:])
        with suppress(OSError):
            write_whole(
                self._path, json.dumps(kept, indent=1), parents=True, private=True, durable=False
            )


def _parse(entry: Any) -> tuple[dict[str, Finding], bool]:
    """Findings by type, and whether the user was told; nothing if the entry is damaged."""
    try:
        findings = {
            str(type): Finding(
                WeightMode(found["mode"]),
                {WeightMode(mode): str(what) for mode, what in found["failures"].items()},
            )
            for type, found in entry.get("findings", {}).items()
        }
        return findings, bool(entry.get("told"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}, False


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


def _learn(env: Environment, memory: Memory, type: str) -> Finding:
    finding = _investigate(env, type)
    memory.learn(type, finding)
    return finding


def _investigate(env: Environment, type: str) -> Finding:
    """Try one mode after the other. Plain memory needs no trial: the others are measured by it."""
    failures: dict[WeightMode, str] = {}
    for mode in buffers.modes():
        failure = mode is not WeightMode.PLAIN and _try(env, type, mode)
        if not failure:
            return Finding(mode, failures)
        failures[mode] = failure
    raise AssertionError("plain memory is the last mode")


def _try(env: Environment, type: str, mode: WeightMode) -> str:
    """What goes wrong in this mode; empty if nothing does."""
    end = _run(env, str(builtin.PATH), type, mode.value)
    if end.code == 0:
        return ""
    # What fails before that line says nothing about this mode.
    if trial.BEGUN in end.output:
        if end.code == trial.WRONG_NUMBERS:
            return "computes wrong numbers"
        if end.fault:
            return end.fault
    raise Untested(f"its test failed: {end.reason}")


class _End(NamedTuple):
    """How a child process ended; no exit code: it was killed when its time was up."""

    code: int | None
    output: str
    errors: str

    @property
    def fault(self) -> str:
        """What the library did to the process; empty if Python itself ended it."""
        if self.code is None:
            return "hangs"
        if self.code > LARGEST_EXIT_CODE or -self.code in CRASHES:
            return f"crashes ({CRASHES.get(-self.code, hex(self.code))})"
        return ""

    @property
    def reason(self) -> str:
        """Why it did not end well, in words."""
        if self.fault:
            return f"llama.cpp {self.fault}"
        return "".join(self.errors.strip().splitlines()[-1:]) or f"exit code {self.code}"


def _run(env: Environment, *arguments: str) -> _End:
    import subprocess

    try:
        with child.folder() as directory:
            done = subprocess.run(
                child.module(trial.__name__, *arguments),
                **child.surroundings(env.variables, directory),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
            )
    except subprocess.TimeoutExpired as error:
        return _End(None, _text(error.stdout), "")
    except OSError as error:
        return _End(ExitCode.INTERNAL, "", str(error))
    return _End(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
