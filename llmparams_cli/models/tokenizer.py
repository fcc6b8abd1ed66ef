"""What a model's header says of its tokenizer: its kind, its size and the special tokens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header

PREFIX = "tokenizer.ggml."
TOKENS = f"{PREFIX}tokens"

# Roles, by the key that names a token's id; some have an older key too.
ROLES = {
    "bos": ("bos_token_id",),
    "eos": ("eos_token_id",),
    "eot": ("eot_token_id",),
    "eom": ("eom_token_id",),
    "unknown": ("unknown_token_id",),
    "padding": ("padding_token_id",),
    "separator": ("seperator_token_id", "separator_token_id"),  # the first is how llama.cpp has it
    "cls": ("cls_token_id",),
    "mask": ("mask_token_id",),
    "fim prefix": ("fim_pre_token_id", "prefix_token_id"),
    "fim suffix": ("fim_suf_token_id", "suffix_token_id"),
    "fim middle": ("fim_mid_token_id", "middle_token_id"),
    "fim padding": ("fim_pad_token_id",),
    "fim repository": ("fim_rep_token_id",),
    "fim separator": ("fim_sep_token_id",),
}
# llama_token_type in llama.h
TYPES = {1: "normal", 2: "unknown", 3: "control", 4: "user-defined", 5: "unused", 6: "byte"}
# tokenizer.ggml.model, as people call it
MODELS = {
    "llama": "SentencePiece",
    "gpt2": "byte-level BPE",
    "bert": "WordPiece",
    "t5": "Unigram",
    "rwkv": "RWKV",
    "plamo2": "PLaMo 2",
    "gemma4": "BPE",
    "none": "none",
    "no_vocab": "none",
}


@dataclass(frozen=True)
class SpecialToken:
    """A token with a role; its text is None if the vocabulary has no such id."""

    role: str
    id: int
    text: str | None


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer by the file. `adds` are the roles of the tokens that are put around every text,
    `types` the number of tokens of each type but the normal ones. Missing texts are empty, missing
    numbers 0.
    """

    model: str
    pre: str
    size: int
    merges: int
    types: dict[str, int]
    special: tuple[SpecialToken, ...]
    adds: dict[str, bool]

    @property
    def family(self) -> str:
        """What people call this kind of tokenizer."""
        return MODELS.get(self.model, self.model)


def tokenizer(header: Header) -> Tokenizer:
    """Read the tokenizer; of the vocabulary itself, only the texts of special tokens."""
    get = header.metadata.get
    ids = {role: _id(header, keys) for role, keys in ROLES.items()}
    texts = _texts(header, {id for id in ids.values() if id is not None})
    adds = {name: get(f"{PREFIX}add_{name}_token") for name in ("bos", "eos", "sep")}
    return Tokenizer(
        _text(get(f"{PREFIX}model")),
        _text(get(f"{PREFIX}pre")),
        header.vocabulary_size,
        _length(get(f"{PREFIX}merges")),
        _types(header),
        tuple(SpecialToken(role, id, texts.get(id)) for role, id in ids.items() if id is not None),
        {name: added for name, added in adds.items() if isinstance(added, bool)},
    )


def _id(header: Header, keys: Collection[str]) -> int | None:
    values = (header.metadata.get(PREFIX + key) for key in keys)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), None)


def _texts(header: Header, ids: Collection[int]) -> dict[int, str]:
    """The texts of these tokens, as the file has them."""
    tokens = header.metadata.get(TOKENS)
    if isinstance(tokens, list):
        texts = {id: tokens[id] for id in ids if 0 <= id < len(tokens)}
    elif isinstance(tokens, Array):
        texts = header.items(TOKENS, ids)
    else:
        return {}
    return {id: text for id, text in texts.items() if isinstance(text, str)}


def _types(header: Header) -> dict[str, int]:
    numbers = header.small_numbers(f"{PREFIX}token_type")
    counts = {name: numbers.count(number) for number, name in TYPES.items()}
    return {name: count for name, count in counts.items() if count and name != "normal"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, Array)) else 0
