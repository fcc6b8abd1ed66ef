"""Can a model have several sequences in one context?

Models that keep a state for every sequence, beside attention or in place of it, are what llama.cpp
gets wrong: with several sequences it fails an assertion or computes wrong numbers (0.3.36 with
PLaMo-2, with DeepSeek 4, and with Kimi Linear where their number does not divide that of the tokens
computed at once). So a child process tries it before the first such context is made, and the result
is remembered for this library and for models of this shape. Models of attention alone never failed.
"""

from __future__ import annotations

import json
import zlib

from llmparams_cli.backends.llama.host import child, sequence_trial
from llmparams_cli.backends.llama.host.child import Untested
from llmparams_cli.backends.llama.host.remembered import Memory, Sequences
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope

FEW = 2  # tried where the wanted number does not work
PER_GIB = 30  # seconds of patience more for each GiB of weights
DECISIVE = ("ubatch_size", "flash_attention", "cache_type_k", "cache_type_v")


def most(
    env: Environment,
    header: Header,
    settings: Settings,
    wanted: int,
    size: int,
    control: Control,
    *,
    shared: bool,
) -> int:
    """How many sequences a context of `size` cells may have, `wanted` at most; with cells of their
    own or `shared` ones. The user is told if they are fewer.
    """
    values = {each.param.name: each.value for each in settings if each.param.scope is Scope.CONTEXT}
    values["ubatch_size"] = min(values["ubatch_size"], values["batch_size"], size)
    memory = Memory(env.cache_dir)
    key = _key(header, [shared, *(values[name] for name in DECISIVE)])
    found = memory.recall_sequences(key)
    try:
        for count in (wanted, FEW):
            if found.works < count and not 0 < found.fails <= count:
                failure = _failure(env, header, count, shared, values, control)
                found = found.after(count, failure)
                memory.learn_sequences(key, found)
    except Untested as error:
        env.note(f"one answer at a time: whether more are possible is not known, as {error}")
        return 1
    if found.works < wanted:
        env.note(_told(header, found))
    return min(wanted, found.works)


def _failure(
    env: Environment,
    header: Header,
    count: int,
    shared: bool,
    values: dict[str, object],
    control: Control,
) -> str:
    """What goes wrong with so many sequences; empty if nothing does."""
    arguments = [str(header.path), str(count), "shared" if shared else "own", json.dumps(values)]
    patience = child.PATIENCE + PER_GIB * header.size / 2**30
    return child.run(env, sequence_trial, *arguments, patience=patience, control=control).failure


def _told(header: Header, found: Sequences) -> str:
    number = "one answer" if found.works == 1 else f"{found.works} answers"
    return (
        f"{number} at a time: with more, llama.cpp {found.failure} "
        f"for this model ({header.architecture})"
    )


def _key(header: Header, how: list[object]) -> str:
    """The shape of a model, which all quantised forms and fine-tunes of it have in common; and what
    else the result depends on.
    """
    own = {
        key: repr(value)
        for key, value in header.metadata.items()
        if key.startswith(f"{header.architecture}.")
    }
    shape = [sorted(own.items()), [(tensor.name, tensor.shape) for tensor in header.tensors]]
    number = zlib.crc32(json.dumps([shape, how]).encode())
    return f"{header.architecture} {number:08x}"
