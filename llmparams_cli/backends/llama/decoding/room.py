"""How many answers a context holds at once, and how many cells it needs for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from llmparams_cli.backends.llama.host.placement import CELLS
from llmparams_cli.errors import BackendError
from llmparams_cli.protocol import Endings, Work

AT_ONCE = 32  # answers in one batch; the others wait for a slot


@dataclass(frozen=True)
class Room:
    """How many slots, how many cells (one holds a token) they have together, and whether they share
    them.
    """

    slots: int
    size: int
    shared: bool


def for_one(limit: int) -> Room:
    """All of the context for one answer at a time."""
    return Room(1, limit, shared=True)


def with_spare(room: Room) -> Room:
    """The room with one more slot, for what is decoded beside a single answer."""
    each = room.size // room.slots if not room.shared else math.ceil(room.size / CELLS) * CELLS
    return Room(room.slots + 1, (room.slots + 1) * each, shared=False)


def for_many(
    prompts: Sequence[Sequence[int]], answers: int, limit: int, lack: Callable[[Room], str]
) -> Room:
    """For these prompts, whose answers may have so many tokens: AT_ONCE slots, or as many as fit
    into memory (`lack` says what is missing, or nothing). With cells of their own, or else with
    shared ones.

    A sequence with cells of its own gets the same bits beside others as alone, and is the faster,
    the longer it gets: attention looks at every cell that it can reach, if only to skip it. With
    shared cells, a prompt that answers have in common is stored only once.
    """
    longest = max(map(len, prompts))
    own = min(limit - min(map(len, prompts)), answers) + 1
    slots = min(AT_ONCE, len(prompts))
    each = math.ceil((longest + own) / CELLS) * CELLS
    room = Room(slots, slots * each, shared=False)
    if not lack(room):
        return room
    if len(set(map(tuple, prompts))) > 1:  # in the worst case, as many prompts as answers at once
        own += longest
    for count in range(slots, 0, -1):
        room = Room(count, longest + count * own, shared=True)
        missing = lack(room)
        if not missing:
            return room
    raise BackendError(
        f"an answer needs a context of {room.size} tokens, which takes {missing}",
        "a smaller --max-tokens",
    )


def for_stream(slots: int, cells: int, limit: int, lack: Callable[[Room], str]) -> Room:
    """For a stream, of whose requests those looked at need up to so many cells each; for others
    there is some room more. As many slots as memory allows.
    """
    most = math.ceil(limit / CELLS) * CELLS
    each = min(most, CELLS << max(0, math.ceil(math.log2(cells / CELLS))) if cells else CELLS)
    while slots > 1 and lack(Room(slots, slots * each, shared=False)):
        slots -= 1
    return Room(slots, slots * each, shared=slots == 1)


def for_endings(forks: Sequence[Endings], limit: int, lack: Callable[[Room], str]) -> Room:
    """For what several endings have before them, stored once, and a power of two of sequences for
    them and for it; or for one ending at a time, where memory lacks.
    """
    most = min(AT_ONCE, max(len(fork.endings) for fork in forks))
    count = 1 << most.bit_length()
    cells = max(len(fork.before) + sum(map(len, fork.endings)) for fork in forks)
    room = Room(count, math.ceil(cells / CELLS) * CELLS, shared=True)
    return for_one(limit) if most == 1 or lack(room) else room


def roomier(room: Room, lack: Callable[[Room], str]) -> Room:
    """The room with the next power of two of cells, where memory allows it."""
    more = replace(room, size=1 << (room.size - 1).bit_length())
    return room if lack(more) else more


def for_work(work: Work) -> Room:
    """For the sequences of a benchmark, as llama-bench and llama-batched-bench make it."""
    each = work.depth + work.read + work.written
    if work.width == 1:
        return for_one(each)
    return Room(work.width, work.width * math.ceil(each / CELLS) * CELLS, shared=False)


def even(room: Room, lack: Callable[[Room], str]) -> Room:
    """The room with a power of two of slots: the next one, or the one before where memory lacks.

    Some models can only have a number of sequences that divides that of the tokens computed at
    once, which usually is a power of two itself.
    """
    more = _with_slots(room, 1 << (room.slots - 1).bit_length())
    return more if not lack(more) else _with_slots(room, 1 << (room.slots.bit_length() - 1))


def able(room: Room, most: int, limit: int) -> Room:
    """The room with `most` slots at most."""
    if most >= room.slots:
        return room
    return _with_slots(room, most) if most > 1 else for_one(limit)


def _with_slots(room: Room, slots: int) -> Room:
    size = room.size if room.shared else room.size // room.slots * slots
    return replace(room, slots=slots, size=size)
