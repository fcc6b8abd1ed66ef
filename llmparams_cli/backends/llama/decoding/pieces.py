"""How a prompt is cut into calls: by absolute positions, whatever else is going on.

llama.cpp's kernels differ by how many tokens of a sequence a call computes: one, 2 to 63, or 64 and
more. Within a class every cut gives the same bits; between classes logits move (by up to 1.2 on
gemma-3-270m). So every prompt is read as whole blocks of 64 from its beginning, the rest as one
piece, and its last token as a row of its own, as generated tokens are. Then equal requests get
equal logits: alone, beside others, or with a part of the prompt kept from before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

BLOCK = 64  # tokens


def block_size(piece_size: int) -> int:
    """Tokens in a block, where the context computes at most `piece_size` of them at once."""
    return min(BLOCK, piece_size)


def next_piece(held: int, body: int, block: int, most: int) -> int:
    """How many tokens to read next of a prompt's body (all but its last token), `held` of which are
    in the cache: as many whole blocks as `most` tokens allow, at least one; at last the rest.
    """
    whole = body // block * block
    if held < whole:
        return min(whole - held, max(block, most // block * block))
    return body - held


def reusable(kept: Sequence[int], wanted: Sequence[int], block: int) -> int:
    """How many tokens of a body that was read, `kept`, can stand for those of another, `wanted`:
    all if the two are equal, otherwise the whole blocks that they share from their beginning.
    """
    same = shared(kept, wanted)
    return same if same == len(kept) == len(wanted) else same // block * block


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the beginning that two texts share."""
    one, other = list(one), list(other)  # a list never equals a tuple
    start, most = 0, min(len(one), len(other))
    # Slices are compared in C: a long prompt is looked for in every slot.
    while start < most and one[start : start + BLOCK] == other[start : start + BLOCK]:
        start += BLOCK
    pairs = zip(one[start : start + BLOCK], other[start : start + BLOCK], strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return min(start + same, most)
