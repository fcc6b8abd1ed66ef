"""Smaller model files, by the library's own quantiser."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.errors import BackendError
from llmparams_cli.models.ggml_types import FILE_TYPE_NUMBERS, TENSOR_TYPE_NUMBERS
from llmparams_cli.models.gguf import DEFAULT_ALIGNMENT, Header, read_header
from llmparams_cli.models.importance import provenance, read_importance
from llmparams_cli.text.safe import printable

# A line of its log in a dry run; its last word is the type to come, if that is another one.
TENSOR = re.compile(r"\[ *\d+/ *\d+\] (.*) - \[[ \d,]+\], type = .*?(?: \((\w+)\))?\n")
UNFIT = re.compile(r"warning: (.*?) +- ncols ")
ALIGNMENT = "general.alignment"
NEEDS_IMPORTANCE = "will require an imatrix"
SPECIAL = re.compile(r"[.^$|()\[\]{}*+?\\]")  # in the regular expressions of C++


@dataclass(frozen=True)
class Recipe:
    """How a model is quantised: to a file `type` such as Q4_K_M, which is a mix of tensor types;
    `pure`: to the main one of them alone. `kept` gives some tensors a type of their own, by their
    names. `importance` is the file of an importance matrix. `again` allows to quantise what is
    quantised already.
    """

    type: str
    threads: int
    pure: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    importance: str = ""
    again: bool = False


@dataclass(frozen=True)
class Plan:
    """What a recipe makes of a model: the type of each tensor, in the order in which they are
    written; which of them have rows that are no whole number of blocks of the type that the mix has
    for them; and whether it can be done only with an importance matrix.
    """

    types: dict[str, str]
    unfit: tuple[str, ...]
    needs_importance: bool


def quantise(source: Path, target: Path, recipe: Recipe) -> None:
    """Write `source` as the recipe says (llama_model_quantize)."""
    _call(source, target, recipe, dry_run=False)


def planned(header: Header, recipe: Recipe) -> Plan:
    """What `quantise` would do with the model of this header; nothing is written."""
    lines: list[str] = []
    with log.told_to(lines.append):
        _call(header.path, header.path, recipe, dry_run=True)
    names = {printable(tensor.name): tensor for tensor in header.tensors}  # as the log has them
    found = [match for line in lines if (match := TENSOR.match(line))]
    if sorted(names) != sorted(match[1].rstrip() for match in found):
        raise BackendError(f"llama.cpp does not tell what it would make of {header.path}")
    tensors = ((names[match[1].rstrip()], match[2]) for match in found)
    types = {tensor.name: (new or tensor.type.name).upper() for tensor, new in tensors}
    unfit = tuple(match[1] for line in lines if (match := UNFIT.match(line)))
    return Plan(types, unfit, any(NEEDS_IMPORTANCE in line for line in lines))


def _call(source: Path, target: Path, recipe: Recipe, *, dry_run: bool) -> None:
    lib = llama()
    params = lib.llama_model_quantize_default_params()
    params.ftype = FILE_TYPE_NUMBERS[recipe.type]
    params.nthread = recipe.threads
    params.pure = recipe.pure
    params.allow_requantize = recipe.again
    params.dry_run = dry_run
    alive = [
        _overrides(params, recipe.kept),
        _importance(params, recipe.importance),
        _metadata(params, source, recipe.importance),
    ]
    log.clear()
    code = lib.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(params))
    alive.clear()
    if code != 0:
        raise BackendError(f"llama.cpp does not quantise {source}: {log.complaint()}")


def _overrides(params: Any, kept: Mapping[str, str]) -> Any:
    if not kept:
        return None
    entry = llama().llama_model_tensor_override
    # The list ends with an entry that has no pattern.
    array = (entry * (len(kept) + 1))(
        *(
            entry(f"^{SPECIAL.sub(_escaped, name)}$".encode(), TENSOR_TYPE_NUMBERS[type])
            for name, type in kept.items()
        )
    )
    params.tt_overrides = array
    return array


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


def _metadata(params: Any, source: Path, importance: str) -> Any:
    lib = llama()
    entries: dict[str, str | int] = provenance(Path(importance)) if importance else {}
    if read_header(source).alignment != DEFAULT_ALIGNMENT:
        # Written is with this one; the library would copy the source's number into the file, which
        # could not be read then.
        entries[ALIGNMENT] = DEFAULT_ALIGNMENT
    if not entries:
        return None
    array = (lib.llama_model_kv_override * (len(entries) + 1))()  # the last one has no key
    for place, (key, value) in zip(array, entries.items(), strict=False):
        place.key = key.encode()
        if isinstance(value, str):
            place.tag, place.value.val_str = lib.LLAMA_KV_OVERRIDE_TYPE_STR, value.encode()
        else:
            place.tag, place.value.val_i64 = lib.LLAMA_KV_OVERRIDE_TYPE_INT, value
    params.kv_overrides = array
    return array


def _importance(params: Any, file: str) -> Any:
    if not file:
        return None
    matrix = read_importance(Path(file))
    entry, pointer = llama().llama_model_imatrix_data, ctypes.POINTER(ctypes.c_float)
    array = (entry * (len(matrix) + 1))(
        *(
            entry(name.encode(), values.ctypes.data_as(pointer), len(values))
            for name, values in matrix.items()
        )
    )
    params.imatrix = array
    return array, matrix
