"""How an explanation shows tokens and probabilities."""

from __future__ import annotations

from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import ELLIPSIS, beginning
from llmparams_cli.text.units import percent

LONGEST_TOKEN = 16  # columns
REMOVED = "·"


def token_name(text: str) -> str:
    """A token for a column: in quotes, and shortened."""
    return beginning(quoted(text), LONGEST_TOKEN, f'{ELLIPSIS}"')


def quoted(text: str) -> str:
    """The text in quotes, on one line."""
    return f'"{one_line(text)}"'


def share_text(probability: float | None) -> str:
    """A probability as a percentage, or a dot if the token was removed (None)."""
    return REMOVED if probability is None else percent(probability)
