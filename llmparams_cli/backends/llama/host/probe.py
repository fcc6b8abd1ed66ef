"""Does the library's fast path for quantised weights work on this processor?

A llama.cpp built by the wrong compiler dies in its AMX code at the first decode. So a child process
tries the weight modes on a tiny model, from the fastest to the slowest, and the result is
remembered for this processor, kernel and library.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmparams_cli import APP
from llmparams_cli.backends.llama.host import buffers, child, trial
from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.host.child import Untested
from llmparams_cli.backends.llama.host.remembered import Finding, Memory
from llmparams_cli.env import Environment
from llmparams_cli.models import builtin

USUAL_TYPES = ("Q4_0", "Q8_0", "Q4_K", "Q6_K")


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
    """What works, for the usual types and all that were met so far; `refresh` forgets all trials
    and tries again.

    Raises Untested.
    """
    memory = Memory(env.cache_dir)
    types = with_fast_path([*USUAL_TYPES, *memory.types])
    if refresh:
        memory.forget()
    return {type: memory.recall(type) or _learn(env, memory, type) for type in types}


def fault_of_library(env: Environment, model: Path | None = None) -> str:
    """Why the library does not load, or does not decode with `model`; empty if it does."""
    end = child.run(env, trial, *([str(model)] if model else []))
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


def _learn(env: Environment, memory: Memory, type: str) -> Finding:
    finding = _investigate(env, type)
    memory.learn(type, finding)
    return finding


def _investigate(env: Environment, type: str) -> Finding:
    """Try one mode after the other. Plain memory needs no trial: the others are measured by it."""
    failures: dict[WeightMode, str] = {}
    for mode in buffers.modes():
        failure = mode is not WeightMode.PLAIN and _failure(env, type, mode)
        if not failure:
            return Finding(mode, failures)
        failures[mode] = failure
    raise AssertionError("plain memory is the last mode")


def _failure(env: Environment, type: str, mode: WeightMode) -> str:
    """What goes wrong in this mode; empty if nothing does."""
    return child.run(env, trial, str(builtin.PATH), type, mode.value).failure
