"""How a model's tokenizer splits a text."""

from __future__ import annotations

from llmparams_cli.analysis.inside import Piece, Split
from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.errors import ModelError
from llmparams_cli.models.gguf import Header

# llama.cpp ends the process when it is asked to split a text without these.
NO_TOKENIZER = ("", "none", "no_vocab")


def split(header: Header, text: str) -> Split:
    """Split a text; the names of control tokens in it are read as these tokens.

    Raises ModelError if there is no tokenizer, or none that llama.cpp can load.
    """
    model = header.metadata.get("tokenizer.ggml.model", "")
    if model in NO_TOKENIZER or not header.vocabulary_size:
        raise ModelError(f"{header.path} has no tokenizer", "give the file of a language model")
    with vocabulary(header.path) as tokenizer:
        plain = tokenizer.tokenize(text, special=True)
        whole = tokenizer.tokenize(text, special=True, begin=True)
        before, after = _added(plain, whole)
        return Split(
            text,
            [
                Piece(
                    id,
                    tokenizer.text(id),
                    tokenizer.is_control(id),
                    not before <= place < len(whole) - after,
                )
                for place, id in enumerate(whole)
            ],
        )


def _added(plain: list[int], whole: list[int]) -> tuple[int, int]:
    """How many tokens stand before the text and after it."""
    more = len(whole) - len(plain)
    for before in range(more + 1):
        if whole[before : before + len(plain)] == plain:
            return before, more - before
    return 0, 0
