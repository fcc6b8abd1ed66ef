"""The slots of a context: which tokens each sequence holds, and what can be kept or copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llmparams_cli.backends.llama.decoding.pieces import block_size, reusable, shared
from llmparams_cli.backends.llama.decoding.prefixes import Prefixes
from llmparams_cli.backends.llama.native.context import Context

Row = tuple[int, int, int]  # token, position, sequence
ALONE = 256  # cells; llama.cpp counts them in steps of this, and splits attention from two on


class Slot:
    """A place in the context for one answer: a sequence (llama.cpp's seq id) and what it holds.

    `tokens` are in the cache. The first of them, at most `body`, were read as a prompt, the others
    decoded one by one. `busy`: an answer is using it. `cells` are the identities of its cache
    cells: where the cache is shared, a copy has the same ones.
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
        """The part of a prompt's body that is in the cache."""
        return self.tokens[: self.body]

    def push(self, tokens: Sequence[int]) -> None:
        """Note that these have been decoded."""
        self.tokens += tokens
        self.cells += [object() for _ in tokens]

    def keep(self, count: int) -> None:
        del self.tokens[count:], self.cells[count:]
        self.body = min(self.body, count)


class Slots:
    """All slots of a context. What they hold outlives their answers, so that of the next prompt
    only the part that differs is read. `prefixes` are prompts that other runs have read. With a
    `spare` one, the last slot is for no answer.
    """

    def __init__(
        self, context: Context, prefixes: Prefixes | None = None, *, spare: bool = False
    ) -> None:
        self.context = context
        self._prefixes = prefixes
        self.block = block_size(context.piece_size)
        self._slots = [Slot(sequence) for sequence in range(context.sequences)]
        self._spare = spare

    def free(self) -> list[Slot]:
        given = self._slots[:-1] if self._spare else self._slots
        return [slot for slot in given if not slot.busy]

    def take(self, body: Sequence[int]) -> Slot:
        """A free slot for a prompt with this body: the one that holds most of it, and of equal ones
        the first, so that busy ones stay side by side. Where others share its cells, it gives up
        what it holds beyond that.
        """
        best = max(self.free(), key=lambda slot: (self._match(slot, body), -slot.sequence))
        best.busy = True
        if self.context.shared_cells and len(self._slots) > 1:
            self._trim(best, self._match(best, body))
        return best

    def match(self, slot: Slot, body: Sequence[int]) -> int:
        """How many tokens of `body` need not be read, because `slot` or another one holds them."""
        return max(self._match(slot, body), self._match(self._donor(body), body))

    def seat(self, slot: Slot, text: Sequence[int], body: int) -> int:
        """Keep in `slot`, or copy into it, what the cache holds of `text`, whose first `body`
        tokens are its prompt's body. Returns how many of them the slot held itself. At least the
        last token of `text` is left to decode.
        """
        wanted = text[:body]
        self._load(slot, wanted)
        own, donor = self._match(slot, wanted), self._donor(wanted)
        found = self._match(donor, wanted)
        if found > own:
            self._copy(donor, slot)
        keep = max(own, found)
        if keep == body == slot.body:  # an answer that goes on keeps its rows, too
            keep += shared(slot.tokens[body:], text[body:-1])
        self._trim(slot, keep)
        slot.body = body
        return min(own, slot.held) if own >= found else 0

    def keep_prompt(self) -> None:
        """Let other runs have the prompt that was read last, where there is only one slot. It holds
        nothing then.
        """
        if self._prefixes and len(self._slots) == 1:
            [slot] = self._slots
            self._prefixes.keep(slot.sequence, slot.read)
            self._forget(slot)

    def keep_blocks(self, slot: Slot) -> None:
        """Drop what goes beyond whole blocks, so that reading can go on at the start of one."""
        self._trim(slot, slot.held // self.block * self.block)

    def take_back(self, slot: Slot, count: int) -> None:
        """Keep only so many of its tokens, as if the others had never been decoded."""
        self._trim(slot, count)

    def restore(self, slot: Slot) -> None:
        """Make the cache agree with `slot` again, after a call that was given up half-way."""
        self._trim(slot, slot.held)

    def release(self, slot: Slot) -> None:
        slot.busy = False

    def move(self, slot: Slot, place: Slot) -> None:
        """Let `place`, a free slot, take over all that is in `slot`."""
        self._copy(slot, place)
        place.busy, slot.busy = True, False
        self._forget(slot)

    def has_room(self, count: int) -> bool:
        """Can so many more tokens be decoded? If only that makes room, free slots give up what they
        hold.
        """
        if not self.context.shared_cells or self._fits(count):
            return True
        for slot in self.free():
            self._forget(slot)
        return self._fits(count)

    @contextmanager
    def company(self, rows: Sequence[Row], *, always: bool) -> Iterator[list[Row]]:
        """These rows in order of their sequences, such that none is computed alone where there are
        several slots: if it would be, one of a slot next to it goes along, which forgets it again.

        The library computes rows together while their sequences rise by one. Over more than ALONE
        cells, a single row is computed by all threads, and its sums are rounded otherwise.
        """
        found = {row[2]: row for row in rows}
        beside: list[Slot] = []
        for token, place, sequence in rows:
            is_single = found.keys().isdisjoint((sequence - 1, sequence + 1))
            if not is_single or not (always or place >= ALONE):
                continue
            if slot := self._beside(sequence):
                found[slot.sequence] = (token, slot.held, slot.sequence)
                beside.append(slot)
        try:
            yield [found[sequence] for sequence in sorted(found)]
        finally:
            for slot in beside:
                self._trim(slot, slot.held)

    def _beside(self, sequence: int) -> Slot | None:
        """A slot whose sequence is next to this one, and which has room for a token."""
        if self.context.shared_cells or self.context.model.keeps_states:
            return None
        # The next one first: with some weights, bits depend on a row's place in a call.
        for near in (sequence + 1, sequence - 1):
            if 0 <= near < len(self._slots):
                slot = self._slots[near]
                if slot.held == self.context.sequence_size and not slot.busy:
                    self._trim(slot, slot.held - 1)
                if slot.held < self.context.sequence_size:
                    return slot
        return None

    def _fits(self, count: int) -> bool:
        room = self.context.size - count
        # The sum, which counts shared cells more than once, is quick and usually enough.
        if sum(slot.held for slot in self._slots) <= room:
            return True
        return len({cell for slot in self._slots for cell in slot.cells}) <= room

    def _match(self, slot: Slot, body: Sequence[int]) -> int:
        return reusable(slot.read, body, self.block)

    def _donor(self, body: Sequence[int]) -> Slot:
        return max(self._slots, key=lambda slot: self._match(slot, body))

    def _load(self, slot: Slot, wanted: Sequence[int]) -> None:
        """Put into `slot` what another run has read of this prompt, if that is more than any slot
        holds.
        """
        known = self.match(slot, wanted)
        if not self._prefixes or known >= len(wanted) // self.block * self.block:
            return
        count = self._prefixes.reach(wanted)
        if count <= known:
            return
        self._forget(slot)
        if self.has_room(count):
            count = self._prefixes.load(slot.sequence, wanted[:count])
            slot.push(wanted[:count])
            slot.body = count

    def _copy(self, source: Slot, target: Slot) -> None:
        self.context.drop(target.sequence)  # a copy adds to what is there
        self.context.copy(source.sequence, target.sequence)
        shares = self.context.shared_cells
        target.tokens = source.tokens.copy()
        target.cells = source.cells.copy() if shares else [object() for _ in source.cells]
        target.body = source.body

    def _trim(self, slot: Slot, count: int) -> None:
        if not self.context.trim(slot.sequence, count):
            count = 0  # a recurrent state: all of it is gone
        slot.keep(count)

    def _forget(self, slot: Slot) -> None:
        self.context.drop(slot.sequence)
        slot.keep(0)
