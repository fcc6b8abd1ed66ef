"""--keep: tensors that are quantised otherwise than the rest, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from llmparams_cli.errors import UsageError
from llmparams_cli.models.ggml_types import NOT_FOR_WEIGHTS, TENSOR_TYPES_BY_NAME
from llmparams_cli.models.gguf import Header
from llmparams_cli.params.kinds import did_you_mean

OUTPUT, EMBEDDINGS = "output", "token_embd"
WEIGHT = ".weight"
# NVFP4 needs scales in tensors of their own, which the quantiser does not write.
TYPES = [name for name in TENSOR_TYPES_BY_NAME if name not in NOT_FOR_WEIGHTS | {"NVFP4"}]


@dataclass(frozen=True)
class Keep:
    """Tensors by the end of their names, such as `ffn_down` or `blk.0.attn_*`, and the type that
    they get; None: the one that they have.
    """

    name: str
    type: str | None

    def __str__(self) -> str:
        return f"--keep {self.name}" + (f"={self.type}" if self.type else "")

    def means(self, tensor: str) -> bool:
        stem = tensor.removesuffix(WEIGHT)
        return fnmatchcase(stem, self.name) or fnmatchcase(stem, f"*.{self.name}")


def keeps(texts: Sequence[str]) -> tuple[Keep, ...]:
    """What the texts of --keep say: NAME or NAME=TYPE, several of them with commas."""
    return tuple(_keep(word.strip()) for text in texts for word in text.split(","))


def _keep(word: str) -> Keep:
    name, has_type, type = word.partition("=")
    if not name or (has_type and type.upper() not in TYPES):
        guess = did_you_mean(type.upper(), TYPES)
        raise UsageError(
            f"--keep {word}: there is no such type{guess}" if name else f"--keep {word!r}: no name",
            f"NAME or NAME=TYPE, with one of {', '.join(TYPES)}",
        )
    return Keep(name.removesuffix(WEIGHT), type.upper() if has_type else None)


def kept(header: Header, keep: Sequence[Keep]) -> dict[str, str]:
    """The types of the tensors that are kept, by their names; of two for a tensor the last counts.
    Raises UsageError for a name that means none.
    """
    found: dict[str, str] = {}
    matrices = [tensor for tensor in header.tensors if len(tensor.shape) > 1]
    for each in keep:
        meant = [tensor for tensor in matrices if each.means(tensor.name)]
        if not meant and each.name == OUTPUT:  # one matrix serves as both
            meant = [tensor for tensor in matrices if tensor.name == EMBEDDINGS + WEIGHT]
        if not meant:
            names = sorted({_last(tensor.name) for tensor in matrices})
            guess = did_you_mean(each.name, names)
            raise UsageError(
                f"{each}: the model has no such matrix{guess}", f"it has {', '.join(names)}"
            )
        found |= {tensor.name: each.type or tensor.type.name for tensor in meant}
    return found


def refuse_unkept(
    keep: Sequence[Keep], wanted: Mapping[str, str], planned: Mapping[str, str]
) -> None:
    """Raise UsageError if a tensor would get another type than the one that is wanted for it."""
    for name, type in wanted.items():
        if planned[name] != type:
            each = next(each for each in reversed(keep) if each.means(name) or each.name == OUTPUT)
            raise UsageError(
                f"{each}: llama.cpp makes {name} {planned[name]} instead",
                "a row must be a whole number of blocks, and some small matrices stay as they are",
            )


def _last(name: str) -> str:
    return name.removesuffix(WEIGHT).rpartition(".")[2]
