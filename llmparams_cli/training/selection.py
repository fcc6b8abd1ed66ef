"""--train: which tensors learn, by words and by names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from llmparams_cli.errors import UsageError
from llmparams_cli.models.anatomy import place
from llmparams_cli.models.gguf import Header, Tensor
from llmparams_cli.params.kinds import did_you_mean

ALL, OUTPUT, EMBEDDINGS, LAYERS = "all", "output", "embeddings", "layers="
WORDS = (ALL, "norms", "biases", OUTPUT, EMBEDDINGS, "attention", "feed-forward", "layers=last:2")
SUFFIX = re.compile(r"\.(weight|bias)$")
RANGE = re.compile(r"(?:(first|last):)?([0-9]{1,6})(?:-([0-9]{1,6}))?")
LEARN = ("F32", "F16", "BF16")
FIXED = "rope factors"  # a kind of tensors that nobody learns
FEED_FORWARD = ("feed-forward", "router", "experts", "shared experts")
FREE = "embeddings, output, norms and biases learn without --lora"

Means = Callable[[Tensor], bool]


def selected(header: Header, words: Sequence[str], *, lora: bool = False) -> tuple[str, ...]:
    """The names of the tensors that learn, in the order of the file: those that any of the words
    means. With `lora`, of these the matrices of the layers, which get an adapter.

    Raises UsageError for a word that means none of the model's tensors.
    """
    able = [tensor for tensor in header.tensors if _learns(tensor)]
    chosen: set[str] = set()
    for word in words:
        means = _meaning(header, word)
        meant = [tensor for tensor in able if means(tensor)]
        if not meant:
            raise UsageError(f"--train {word}: the model has no such tensors", _what_there_is(able))
        adapted = [tensor for tensor in meant if _gets_adapter(tensor)]
        if lora and not adapted:
            raise UsageError(
                f"--train {word}: no matrix of a layer is meant, and no other gets an adapter",
                FREE,
            )
        chosen |= {tensor.name for tensor in (adapted if lora else meant)}
    return tuple(tensor.name for tensor in able if tensor.name in chosen)


def _learns(tensor: Tensor) -> bool:
    is_number = tensor.type.name in LEARN or tensor.type.per_block > 1
    return is_number and place(tensor.name).kind != FIXED and bool(SUFFIX.search(tensor.name))


def _gets_adapter(tensor: Tensor) -> bool:
    where = place(tensor.name)
    is_matrix = len(tensor.shape) == 2 and where.kind != "norms" and "conv" not in tensor.name
    return is_matrix and where.layer is not None


def _meaning(header: Header, word: str) -> Means:
    if word == ALL:
        return lambda tensor: True
    if word == "biases":
        return lambda tensor: place(tensor.name).is_bias
    if word == OUTPUT:
        names = {tensor.name for tensor in header.tensors}
        # Where there is no matrix of its own, the embeddings serve as both.
        own = "output.weight" if "output.weight" in names else "token_embd.weight"
        return lambda tensor: tensor.name == own
    if word in ("norms", EMBEDDINGS):
        return lambda tensor: place(tensor.name).kind == word and not place(tensor.name).is_bias
    if word in ("attention", "feed-forward"):
        kinds = FEED_FORWARD if word == "feed-forward" else (word,)
        return lambda tensor: place(tensor.name).kind.startswith(kinds)
    if word.startswith(LAYERS):
        wanted = _layers(word, header.block_count)
        return lambda tensor: place(tensor.name).layer in wanted
    return _pattern(header, word)


def _layers(word: str, count: int) -> range:
    """The layers that 'layers=last:2', 'layers=first:2', 'layers=3' or 'layers=0-3' mean."""
    found = RANGE.fullmatch(word.removeprefix(LAYERS))
    if not found or (found[1] and found[3]):
        raise UsageError(
            f"--train {word}: not clear", "layers=last:2, layers=first:2, layers=3 or layers=0-3"
        )
    number, last = int(found[2]), int(found[3] or found[2])
    meant = range(number, min(last + 1, count))
    if found[1]:
        some = min(number, count)
        meant = range(count - some, count) if found[1] == "last" else range(some)
    if not meant:
        raise UsageError(f"--train {word}: no layer is meant", f"they are 0 to {count - 1}")
    return meant


def _pattern(header: Header, word: str) -> Means:
    """A name, or the end of one, with * for anything and with or without its suffix."""

    def means(tensor: Tensor) -> bool:
        names = (tensor.name, SUFFIX.sub("", tensor.name))
        return any(fnmatchcase(name, word) or fnmatchcase(name, f"*.{word}") for name in names)

    if not any(map(means, header.tensors)):
        last = sorted({SUFFIX.sub("", each.name).rpartition(".")[2] for each in header.tensors})
        guess = did_you_mean(word, [*WORDS, *last])
        raise UsageError(
            f"--train {word}: there is no such part of the model{guess}",
            f"{', '.join(WORDS)}, or names such as {', '.join(last[:4])}",
        )
    return means


def _what_there_is(tensors: Sequence[Tensor]) -> str:
    kinds = dict.fromkeys(
        "biases" if place(tensor.name).is_bias else place(tensor.name).kind for tensor in tensors
    )
    return f"it has {', '.join(kinds)}"
