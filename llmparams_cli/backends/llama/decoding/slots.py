"""The context's sequences: who holds which tokens, and what can be kept or copied of them."""

from __future__ import annotations

from collections.abc import Sequence

from llmparams_cli.backends.llama.decoding.pieces import block_size, reusable, shared
from llmparams_cli.backends.llama.native.context import Context


class Slot:
    """One sequence. `tokens` are in the cache, the first of them read as a prompt of `body`
    tokens (or as far as it got), the others one by one. `busy` while an answer uses it.

    `cells` tells those of different slots apart: a copy shares them where the cache is shared.
    """

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.tokens: list[int] = []
        self.body = 0
        self.cells: list[object] = []
        self.busy = False

    @property
    def held(self) -> int:
        return len(self.tokens)

    @property
    def read(self) -> Sequence[int]:
        """What is here of a prompt's body."""
        return self.tokens[: self.body]

    def push(self, tokens: Sequence[int]) -> None:
        """These have been decoded."""
        self.tokens += tokens
        self.cells += [object() for _ in tokens]

    def keep(self, count: int) -> None:
        del self.tokens[count:], self.cells[count:]
        self.body = min(self.body, count)


class Slots:
    """All sequences of a context; they outlive the answers in them, so that the next prompt
    is read only where it differs.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.block = block_size(context.piece_size)
        self._slots = [Slot(sequence) for sequence in range(context.sequences)]

    def free(self) -> list[Slot]:
        return [slot for slot in self._slots if not slot.busy]

    def take(self, body: Sequence[int]) -> Slot:
        """A free slot for a prompt with this body: the one that holds most of it, or else the
        first; so that busy ones stay side by side. Where others share its cells, what it holds
        beyond that makes room for them.
        """
        best = max(self.free(), key=lambda slot: (self._match(slot, body), -slot.sequence))
        best.busy = True
        if self.context.shared_cells and len(self._slots) > 1:
            self._trim(best, self._match(best, body))
        return best

    def match(self, slot: Slot, body: Sequence[int]) -> int:
        """How many tokens of `body` need not be read because `slot` or another one holds them."""
        return max(self._match(slot, body), self._match(self._donor(body), body))

    def seat(self, slot: Slot, text: Sequence[int], body: int) -> int:
        """Keep or copy into `slot` what is there of `text`, whose first `body` tokens are its
        prompt's; how many of these the slot held itself. At least the last token is left to do.
        """
        wanted = text[:body]
        own, donor = self._match(slot, wanted), self._donor(wanted)
        found = self._match(donor, wanted)
        if found > own:
            self._copy(donor, slot)
        keep = max(own, found)
        if keep == body == slot.body:  # an answer that is to go on: its rows too
            keep += shared(slot.tokens[body:], text[body:-1])
        self._trim(slot, keep)
        slot.body = body
        return min(own, slot.held) if own >= found else 0

    def keep_blocks(self, slot: Slot) -> None:
        """Let it hold whole blocks only, to go on as a prompt."""
        self._trim(slot, slot.held // self.block * self.block)

    def restore(self, slot: Slot) -> None:
        """Let the cache hold what `slot` says, after a call that was given up half-way."""
        self._trim(slot, slot.held)

    def release(self, slot: Slot) -> None:
        slot.busy = False

    def move(self, slot: Slot, place: Slot) -> None:
        """Let `place`, which is free, go on with what is in `slot`."""
        self._copy(slot, place)
        place.busy, slot.busy = True, False
        self._forget(slot)

    def has_room(self, count: int) -> bool:
        """Can so many tokens more be decoded? Forgets what nobody uses, if that makes room."""
        if not self.context.shared_cells or self._fits(count):
            return True
        for slot in self.free():
            self._forget(slot)
        return self._fits(count)

    def _fits(self, count: int) -> bool:
        room = self.context.size - count
        if sum(slot.held for slot in self._slots) <= room:
            return True
        return len({cell for slot in self._slots for cell in slot.cells}) <= room

    def _match(self, slot: Slot, body: Sequence[int]) -> int:
        return reusable(slot.read, body, self.block)

    def _donor(self, body: Sequence[int]) -> Slot:
        return max(self._slots, key=lambda slot: self._match(slot, body))

    def _copy(self, source: Slot, target: Slot) -> None:
        self.context.drop(target.sequence)
        self.context.copy(source.sequence, target.sequence)
        shares = self.context.shared_cells
        target.tokens = source.tokens.copy()
        target.cells = source.cells.copy() if shares else [object() for _ in source.cells]
        target.body = source.body

    def _trim(self, slot: Slot, count: int) -> None:
        if not self.context.trim(slot.sequence, count):
            count = 0
        slot.keep(count)

    def _forget(self, slot: Slot) -> None:
        self.context.drop(slot.sequence)
        slot.keep(0)
