"""Checks what this machine and this installation can do, one thing after the other."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli import APP, PREFIX, __version__
from llmparams_cli.backends.llama.machine import buffers, child, hardware, library, probe
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError, LlmparamsError
from llmparams_cli.jobs import gpu_checks
from llmparams_cli.jobs.models.listing import kept_models
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import find_model, unnamed
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.conflicts import refuse_contradictions
from llmparams_cli.params.kinds import Choice, Number, Switch
from llmparams_cli.params.settings import Source, resolve
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import cascade, find
from llmparams_cli.presets.document import Placed
from llmparams_cli.protocol import Check, Health
from llmparams_cli.text.units import size_text

# Instruction sets that make a difference: the name of each in the kernel, and in llama.cpp.
INSTRUCTIONS = {
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "amx_int8": "AMX_INT8",
    "asimd": "NEON",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
    "sve": "SVE",
}
PATHS_AND_NAMES = {*cascade.OTHER_VARIABLES} - {"LLMPARAMS_SYSTEM"}


def diagnose(env: Environment, *, refresh: bool = False) -> Iterator[Check]:
    """All checks, each as soon as it is made; `refresh` repeats those that are remembered."""
    yield from _program()
    yield from _processor()
    # Nothing that calls the library may run before this: a broken one would end the program.
    if (broken := _broken_library(env)) is None:
        yield from _library()
        yield from _weights(env, refresh)
        yield from gpu_checks.checks()
    else:
        yield broken
    yield from _model(env, broken is None)
    yield from kept_models(env)
    yield from _files(env)
    yield from _settings(env)


def _program() -> Iterator[Check]:
    import platform

    yield Check("program", APP, __version__)
    yield Check("program", "Python", f"{platform.python_version()}, {sys.executable}")
    yield Check("program", "system", f"{platform.system()} {hardware.kernel()}")


def _processor() -> Iterator[Check]:
    processor = hardware.processor()
    yield Check("machine", "processor", processor.model or "unknown")
    known = [flag for flag in INSTRUCTIONS if flag in processor.flags]
    yield Check("machine", "instructions", " ".join(known) or "unknown")
    yield Check("machine", "CPUs", f"{hardware.usable_cpus()} usable of {os.cpu_count()}")
    free = hardware.available_memory()
    yield Check("machine", "memory", "unknown" if free is None else f"{size_text(free)} free")


def _broken_library(env: Environment) -> Check | None:
    """What keeps the library from loading here. A child process tries it, because it may crash."""
    try:
        library.package_dir()
    except BackendError as error:
        return _failure("library", "llama-cpp-python", error)
    fault = probe.fault_of_library(env)
    if not fault:
        return None
    cure = library.install_command(again=True)
    return _failure("library", "llama-cpp-python", BackendError(fault, cure))


def _library() -> Iterator[Check]:
    lib = library.llama()
    binding = library.version()
    if binding == library.VERSION:
        yield Check("library", "llama-cpp-python", binding)
    else:
        yield _warning(
            "library",
            "llama-cpp-python",
            f"{binding}, and {library.VERSION} is the version that {APP} is written for",
            gpu_checks.rebuild_command(),
        )
    # Older releases, which this check is also for, have no such function.
    if hasattr(lib, "llama_version"):
        yield Check("library", "llama.cpp", str(lib.llama_version(), "utf-8"))
    yield Check("library", "file", str(lib._lib._name))
    features = set(re.findall(r"(\w+) = 1", str(lib.llama_print_system_info(), "utf-8")))
    flags = hardware.processor().flags
    unused = [flag for flag, name in INSTRUCTIONS.items() if flag in flags and name not in features]
    built_for = " ".join(name for name in INSTRUCTIONS.values() if name in features) or "any CPU"
    if unused:
        yield _warning(
            "library",
            "built for",
            f"{built_for}; it does not use this processor's {' '.join(unused)}",
            gpu_checks.rebuild_command(),
        )
    else:
        yield Check("library", "built for", built_for)


def _weights(env: Environment, refresh: bool) -> Iterator[Check]:
    """The fast paths for quantised weights; types with the same result share a line."""
    try:
        findings = probe.report(env, refresh=refresh)
    except child.Untested as error:
        cure = f"see that {env.cache_dir} and the directory for temporary files can be written"
        yield _warning("weights", "fast path", f"not used: {error}", cure)
        return
    if not findings:
        yield Check("weights", "fast path", "none in this library")
        return
    working = [type for type, finding in findings.items() if not finding.failures]
    if working:
        names = ", ".join(buffers.extra_buffers())
        yield Check("weights", "fast path", f"{' '.join(working)}: works ({names})")
    complaints: dict[str, list[str]] = {}
    for type, finding in findings.items():
        if finding.failures:
            complaints.setdefault(probe.complaint(finding), []).append(type)
    for complaint, types in complaints.items():
        cure = gpu_checks.rebuild_command()
        yield _warning("weights", "fast path", f"{' '.join(types)}: {complaint}", cure)


def _model(env: Environment, has_library: bool) -> Iterator[Check]:
    try:
        builtin.verify()
        find_model(BUILTIN, env)
    except LlmparamsError as error:
        yield _failure("model", "built-in", error)
        return
    fault = probe.fault_of_library(env, builtin.PATH) if has_library else ""
    if fault:
        cure = library.install_command(again=True)
        broken = BackendError(f"decoding with it fails: {fault}", cure)
        yield _failure("model", "built-in", broken)
    else:
        decodes = ", decodes" if has_library else ""
        yield Check("model", "built-in", f"checksum right{decodes}, {builtin.PATH}")


def _files(env: Environment) -> Iterator[Check]:
    there = dict(cascade.configuration(env))
    config = there.get(Source.CONFIG, f"{env.config_file} (none)")
    project = there.get(Source.PROJECT, "no llmparams.yaml here or above")
    yield Check("files", "config", str(config))
    yield Check("files", "project", str(project))
    presets = [found for files in find.available(env).values() for found in files]
    counts = Counter(found.path if found.entry else found.path.parent for found in presets)
    for _, path in find.places(env):
        if counts[path] or path.is_dir():
            yield Check("files", "presets", f"{counts[path]} in {path}")
    yield _cache(env.cache_dir)


def _cache(directory: Path) -> Check:
    # It is made when first used: until then its nearest existing parent decides.
    existing = next((d for d in (directory, *directory.parents) if d.exists()), directory)
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Check("files", "cache", str(directory))
    return _warning(
        "files",
        "cache",
        f"{directory} cannot be written, so tests of the machine are repeated in every run",
        "make it writable, or name another directory in LLMPARAMS_CACHE_DIR",
    )


def _settings(env: Environment) -> Iterator[Check]:
    """The values that are in force without any flag, and the model that they name."""
    for variable in sorted(env.variables):
        if variable.startswith(PREFIX) and env.variables[variable]:
            yield Check("settings", "variable", _public(variable, env.variables[variable]))
    try:
        gathered = cascade.gather(env)
        refuse_contradictions(resolve(gathered.assignments))
    except LlmparamsError as error:
        yield _failure("settings", "values", error)
        return
    for note in gathered.notes:
        yield _warning("settings", "values", note)
    if not gathered.notes:
        yield Check("settings", "values", f"{len(gathered.assignments)} set, all valid")
    yield _chosen_model(env, gathered.model or unnamed(env))


def _chosen_model(env: Environment, given: Placed) -> Check:
    """The model that runs without --model."""
    try:
        model = find_model(given.text, env)
    except LlmparamsError as error:
        return _failure("settings", "model", error)
    name = BUILTIN if model.is_builtin else model.known_as
    return Check("settings", "model", f"{name or model.reference} ({given.origin})")


def _public(variable: str, text: str) -> str:
    """A variable with its value, unless that may be private: reports are sent to strangers."""
    params = {param.variable: param for param in PARAMS.values()}
    kind = params[variable].kind if variable in params else None
    if isinstance(kind, (Number, Switch, Choice)) or variable in PATHS_AND_NAMES:
        return f"{variable}={text}"
    return f"{variable} ({len(text)} characters)"


def _failure(section: str, name: str, error: LlmparamsError) -> Check:
    return Check(section, name, error.message, Health.FAIL, error.hint, error.exit_code)


def _warning(section: str, name: str, value: str, cure: str = "") -> Check:
    return Check(section, name, value, Health.WARN, cure)
