"""How an explanation shows tokens and probabilities."""

from __future__ import annotations

from llmparams_cli.analysis.explanation import Ruled
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.shorten import ELLIPSIS, beginning
from llmparams_cli.text.units import percent
from llmparams_cli.trace import Ruling

LONGEST_TOKEN = 16  # columns
REMOVED = "·"


def token_name(text: str) -> str:
    """A token for a column: in quotes, and shortened."""
    return beginning(quoted(text), LONGEST_TOKEN, f'{ELLIPSIS}"')


def quoted(text: str) -> str:
    """The text in quotes, on one line."""
    return f'"{one_line(text)}"'


def ruled_text(ruled: Ruled) -> str:
    """The grammar's part in an answer, in a line."""
    return (
        f"the grammar decided {len(ruled.decided)} of {ruled.draws} draws and forced "
        f"{len(ruled.forced)}; on average it forbade {percent(ruled.probability)} of the model's "
        "probability"
    )


def ruling_text(ruling: Ruling, size: int) -> str:
    """What the grammar said at one of the draws, from `size` tokens."""
    if ruling.forced:
        told = "forced: none other was left"
    elif ruling.decided:
        told = "the first draw was one of them"
    else:
        told = "the first draw was none of them"
    return (
        f"the grammar forbade {ruling.removed} of {size} tokens, which had "
        f"{percent(ruling.probability)} together; {told}"
    )


def share_text(probability: float | None) -> str:
    """A probability as a percentage, or a dot if the token was removed (None)."""
    return REMOVED if probability is None else percent(probability)
