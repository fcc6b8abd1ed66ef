"""Makes a smaller file of a model."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from llmparams_cli import APP
from llmparams_cli.backends.llama.machine import hardware
from llmparams_cli.backends.llama.weights import Recipe, planned, quantised
from llmparams_cli.env import STDIN, Environment
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.files import appearing, free_space, remove_left, resolve_path
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.quantization.keeping import Keep, kept, refuse_unkept
from llmparams_cli.models.ggml_types import MADE, SHORT
from llmparams_cli.models.gguf import Header, read_model
from llmparams_cli.models.importance import provenance, read_importance
from llmparams_cli.models.quantized import Quantized, foreseen
from llmparams_cli.models.resolve import GIVE_A_FILE, GgufModel, ResolvedModel
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.protocol import Progress
from llmparams_cli.text.units import size_text

PLAIN = ("F32", "F16", "BF16")  # file types without a mix of tensor types
AGAIN = (
    "{} is quantised already ({}): a second time adds new errors to those that it has, and a larger"
    " type brings nothing back"
)
NOT_HERE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
SPARE = 10_000_000  # bytes that a disk shall have left


@dataclass(frozen=True)
class Wanted:
    """What is to be made: the file, its type, tensors with a type of their own, and the file of an
    importance matrix. `again`: of a quantised file, too; `force`: in place of an older file.
    """

    target: Path
    type: str
    keep: tuple[Keep, ...] = ()
    importance: Path | None = None
    again: bool = False
    force: bool = False


@dataclass(frozen=True)
class Order:
    """A quantisation that nothing speaks against: what will be made, and how."""

    recipe: Recipe
    result: Quantized
    force: bool

    @property
    def target(self) -> Path:
        return self.result.result.path


def file_type(text: str) -> str:
    """The file type that a user means."""
    name = SHORT.get(text.upper(), text.upper())
    if name not in MADE:
        guess = did_you_mean(name, [*MADE, *SHORT])
        raise UsageError(
            f"--type {text}: there is no such type{guess}", f"types: {', '.join(MADE)}"
        )
    return name


def target_of(env: Environment, text: str, *, force: bool) -> Path:
    """The path of a file to be made; refuses one that cannot be made, or exists without `force`."""
    if text == STDIN:
        raise UsageError("a model cannot go into a pipe", "name a file")
    path = resolve_path(text, env.directory)
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no such folder", "make it first")
    if path.is_dir():
        raise UsageError(f"{path} is a directory", "name a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no regular file", "name another file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "--force replaces it")
    return path


def order(prepared: Prepared, wanted: Wanted) -> Order:
    """Plan a quantisation; raises an error for what cannot be done or should not be."""
    header = source_of(prepared.model)
    _refuse(header, wanted)
    types = kept(header, wanted.keep)
    recipe = Recipe(
        wanted.type,
        prepared.settings["threads"] or hardware.usable_cpus(),
        kept=types,
        importance=str(wanted.importance or ""),
        again=wanted.again,
    )
    plan = planned(header, recipe)
    if plan.needs_importance:
        raise UsageError(
            f"--type {wanted.type} needs an importance matrix (--imatrix FILE): without one the"
            " model would write nonsense",
            f"{APP} imatrix makes one from a text",
        )
    refuse_unkept(wanted.keep, types, plan.types)
    added = provenance(wanted.importance) if wanted.importance else {}
    result = foreseen(header, wanted.target, wanted.type, plan.types, added)
    return Order(recipe, Quantized(header, result, plan.unfit, True), wanted.force)


def make(env: Environment, order: Order, progress: Progress) -> Quantized:
    """Write the file; it appears when it is whole. Ctrl-C ends it at once."""
    result = order.result
    if result.source.is_quantized:
        env.note(AGAIN.format(result.source.path, result.source.quantization))
    remove_left(order.target)
    check_space(order.target, result.result.size)
    # Tensors done, as a share of all weights.
    done = [*accumulate((tensor.elements for tensor in result.result.tensors), initial=0)]
    with _output(order) as path:
        progress("quantising", 0.0)
        quantised(
            env,
            result.source.path,
            path,
            order.recipe,
            lambda count: progress("quantising", done[count] / done[-1]),
        )
        made = read_model(path)
    progress("quantising", 1.0)
    return replace(result, result=replace(made, paths=(order.target,)), is_planned=False)


@contextmanager
def _output(order: Order) -> Iterator[Path]:
    try:
        with appearing(order.target, replace=order.force) as path:
            yield path
    except FileExistsError as error:  # made meanwhile
        raise UsageError(f"{order.target} exists", "--force replaces it") from error
    except OSError as error:
        if error.errno in NOT_HERE:
            message = f"{order.target} cannot be written: {error.strerror}"
            raise UsageError(message, "name another file") from error
        raise


def source_of(model: ResolvedModel) -> Header:
    """The header of a model that can be quantised; raises ModelError for any other."""
    if not isinstance(model, GgufModel):
        raise ModelError(f"{model.reference} is a script: there are no weights in it", GIVE_A_FILE)
    header = model.header
    if len(header.paths) > 1:
        raise ModelError(
            f"{header.path} is the first of {len(header.paths)} files of a model",
            "llama-gguf-split --merge makes one file of them",
        )
    return header


def _refuse(header: Header, wanted: Wanted) -> None:
    refuse_same(header, wanted.target)
    if header.is_quantized and not wanted.again:
        raise UsageError(
            AGAIN.format(header.path, header.quantization),
            "take the file in F16, BF16 or F32; or --requantize, if there is none",
        )
    if wanted.keep and wanted.type in PLAIN:
        raise UsageError(f"--keep has no effect with --type {wanted.type}", "it is for mixes")
    if wanted.importance:
        known = {tensor.name for tensor in header.tensors}
        if known.isdisjoint(read_importance(wanted.importance)):
            raise ModelError(
                f"{wanted.importance} was made for another model: no name of a tensor is the same",
                f"{APP} imatrix makes one for this model",
            )


def refuse_same(header: Header, target: Path) -> None:
    """Raise UsageError if the file to be made is the model that it is made of."""
    if target.exists() and os.path.samefile(header.path, target):
        raise UsageError(f"{target} is the model itself", "name another file")


def check_space(target: Path, needed: int) -> None:
    """Raise OSError if the disk of this file has no room for so many bytes."""
    free = free_space(target.parent)
    if free is not None and needed + SPARE > free:
        text = f"{size_text(needed)} are needed, and {size_text(free)} are free"
        raise OSError(errno.ENOSPC, text, str(target.parent))
