"""What a run starts from: a model, or random weights of a given shape."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.quantization.making import source_of
from llmparams_cli.jobs.tuning.models import convert
from llmparams_cli.models.fresh import Shape, write_fresh
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Progress

DEQUANTISED = "{} is quantised ({}): its weights are dequantised to F32 first, and learn from there"


def rest_while_waiting() -> None:
    """Let threads sleep while they wait for each other, in place of spinning: in the hours that a
    run takes, a machine has other work as well, and spinning threads take the processors from those
    that they wait for. To be called before the library is loaded, which reads it then.
    """
    # Two threads on two processors: 0.9 to 1.0 of the speed alone, 1.6 to 2.1 beside one other
    # process that is busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class Start:
    """Where a run starts. `write` puts the model in F32 at a path;
    `tokenizer` is the model file whose vocabulary and chat template it has; `settings` are those
    that it answers with; `type` is what the result is written as if nobody says otherwise.
    `identity` tells one start from another.
    """

    name: str
    tokenizer: Header
    settings: Settings
    type: str
    identity: tuple[object, ...]
    write: Callable[[Path], None]


def from_model(env: Environment, prepared: Prepared, progress: Progress) -> Start:
    """Start from the weights of a model; says so if they have to be dequantised."""
    header = source_of(prepared.model)
    if header.is_quantized:
        env.note(DEQUANTISED.format(header.path, header.quantization))
    status = header.path.stat()
    return Start(
        header.name,
        header,
        prepared.settings,
        header.quantization if header.quantization in ("F32", "BF16") else "F16",
        (str(header.path), status.st_size, status.st_mtime_ns),
        lambda path: convert(env, header, path, "F32", progress),
    )


def from_scratch(shape: Shape, tokenizer: Prepared, seed: int) -> Start:
    """Start from random weights, with the vocabulary of a model."""
    shape.refuse_impossible()
    header = source_of(tokenizer.model)

    def write(path: Path) -> None:
        write_fresh(path, shape, header, seed)

    name, identity = f"a new model ({shape})", (repr(shape), seed)
    return Start(name, header, tokenizer.settings, "F16", identity, write)
