"""The decode loop: many answers in one context, each as if it were alone.

requests ──> slots ──> prompts in blocks ──> rows: one token of every running answer a call
               ^ the next answer takes a slot as soon as one has ended

Running answers come first: between two of their tokens at most one block of somebody's prompt
is read. While nobody has drawn anything yet, or nobody waits for single tokens, prompts are read
in larger calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.pieces import next_piece, reusable
from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import LlmparamsError
from llmparams_cli.interrupt import Control
from llmparams_cli.protocol import Failed, Finished, Numbered, Piece

Arrival = tuple[int, Answer | Failed] | None  # None: nobody waits now
Finish = Callable[[Answer], Finished]


class Scheduler:
    """Works on answers as they arrive, until there are no more. Each may have `limit` tokens,
    prompt included; `finish` makes the last event of one that ended. `one_by_one` is for weights
    with which the bits of a row depend on its place in a call; `pace` is called before each
    call. With `patient`, prompts are read in large calls, though others wait for their next token.
    """

    def __init__(
        self,
        slots: Slots,
        control: Control,
        progress: Callable[[float, int], None],
        limit: int,
        finish: Finish,
        *,
        one_by_one: bool = False,
        pace: Callable[[], None] = lambda: None,
        patient: bool = False,
    ) -> None:
        self._slots = slots
        self._one_by_one = one_by_one
        self._pace = pace
        self._patient = patient
        self._context = slots.context
        self._control = control
        self._progress = progress
        # A sequence with cells of its own has only its share of the context.
        self._limit = min(limit, slots.context.size, slots.context.sequence_size)
        self._finish = finish
        self._active: dict[int, Answer] = {}  # by number, in the order of their arrival
        self._unread = False  # is a prompt being read, as far as the progress bar knows?
        self._more = True  # may others arrive?

    def run(self, arrivals: Iterator[Arrival]) -> Generator[Numbered, None, None]:
        """The events of all answers, each with the number of its answer."""
        try:
            while self._more or self._active:
                assert self._active or self._slots.free(), "a slot was not given back"
                yield from self._admit(arrivals)
                yield from self._end_those_in_vain()
                if self._active:
                    self._pace()
                    yield from self._advance()
        finally:
            # Some are left only after an error, or when nobody wants more events.
            for answer in self._active.values():
                self._leave(answer)
            self._tell_reading([])

    def _admit(self, arrivals: Iterator[Arrival]) -> Iterator[Numbered]:
        """Give free slots to answers that wait."""
        self._more = self._more and not self._control.is_leaving
        while self._more and self._slots.free():
            try:
                arrival = next(arrivals)
            except StopIteration:
                self._more = False
                return
            if arrival is None:
                return
            number, answer = arrival
            if isinstance(answer, Failed):
                yield number, answer
            else:
                self._active[number] = answer
                answer.move_to(self._slots.take(answer.text[: answer.body]))
                answer.begin()
                yield number, answer.started
                yield from self._told(number, [])  # with max_tokens 0 it has ended already

    def _end_those_in_vain(self) -> Iterator[Numbered]:
        """End answers that Ctrl-C, their time limit or whoever asked has stopped."""
        stop = self._control.stop
        ended = [each for each in self._active.items() if stop or each[1].is_bounded]
        for number, answer in ended:
            yield from self._told(number, answer.end(stop) if stop else answer.check())

    def _advance(self) -> Iterator[Numbered]:
        """A token for all running answers; then a piece of a prompt, if one is still to be read."""
        self._seat_all()
        reading = [each for each in self._active.values() if not self._is_read(each)]
        rows = [number for number, each in self._active.items() if self._is_read(each)]
        running = any(self._active[number].has_drawn for number in rows)
        self._tell_reading([] if running else reading)
        if rows and (running or not reading):
            yield from self._step(rows)
        if reading and not self._control.stop:
            # The longest pause of a running answer is one block, unless all are patient.
            in_hurry = running and not self._patient
            most = self._slots.block if in_hurry else self._context.piece_size
            yield from self._read([each for each in reading if each.seated], most, running)

    def _is_read(self, answer: Answer) -> bool:
        return answer.seated and answer.slot.held >= answer.body

    def _step(self, numbers: Sequence[int]) -> Iterator[Numbered]:
        """Decode the next token of each, and draw from those that had no other known one."""
        yield from self._end_without_room(numbers)
        going = [(n, self._active[n]) for n in numbers if n in self._active]
        if len(going) == 1 and (draft := self._draft_of(going[0][1])):
            yield from self._check(*going[0], draft)
            return
        self._close_gaps([answer for _, answer in going])
        going.sort(key=lambda each: each[1].slot.sequence)
        for together in [[each] for each in going] if self._one_by_one else [going]:
            yield from self._step_together(together)

    def _step_together(self, going: Sequence[tuple[int, Answer]]) -> Iterator[Numbered]:
        batch = [
            (answer.text[slot.held], slot.held, slot.sequence)
            for _, answer in going
            for slot in [answer.slot]
        ]
        answers = [answer for _, answer in going]
        with self._slots.company(batch, always=self._one_by_one) as rows:
            places = [rows.index(row) for row in batch]
            if not going or not self._decode(answers, rows, places):
                return
        for (token, _, _), answer in zip(batch, answers, strict=True):
            answer.slot.push([token])
        for place, (number, answer) in zip(places, going, strict=True):
            # Otherwise its next token is known: an earlier run drew it.
            if answer.slot.held == len(answer.text):
                yield from self._draw(number, answer, place)

    def _draft_of(self, answer: Answer) -> list[int]:
        """Guesses of its next tokens, as many as there is room for. None while its next token is
        known.
        """
        held = answer.slot.held
        if not answer.speculates or held < len(answer.text) - 1:
            return []
        rows = min(self._limit - held, self._context.outputs, self._context.piece_size)
        with self._control.alarm(self._time_left()):  # a draft model may have a prompt to read
            return answer.draft(rows - 1)

    def _check(self, number: int, answer: Answer, draft: Sequence[int]) -> Iterator[Numbered]:
        """Decode its next token and guesses behind it; draw, as one by one, while they are right.
        What is behind the first wrong one is taken back.
        """
        slot = answer.slot
        tokens = [answer.text[slot.held], *draft]
        batch = [(token, slot.held + row, slot.sequence) for row, token in enumerate(tokens)]
        if not self._decode([answer], batch, range(len(batch))):
            return
        slot.push(tokens)
        for row, guess in enumerate([*draft, None]):
            yield from self._draw(number, answer, row)
            yield from self._end_those_in_vain()
            if number not in self._active:
                return
            if answer.text[-1] != guess:
                break
        self._slots.take_back(slot, len(answer.text) - 1)

    def _draw(self, number: int, answer: Answer, row: int) -> Iterator[Numbered]:
        try:
            pieces = answer.step(self._context, row)
        except LlmparamsError as error:
            self._leave(self._active.pop(number))
            yield number, Failed(error)
        else:
            yield from self._told(number, pieces)

    def _told(self, number: int, pieces: Sequence[Piece]) -> Iterator[Numbered]:
        """Pass its pieces on, and its end if it has ended."""
        answer = self._active[number]
        if answer.stop:
            self._tell_reading([])
        yield from ((number, piece) for piece in pieces)
        if answer.stop:
            del self._active[number]
            finished = self._finish(answer)  # first: it takes the recording, which leaving closes
            self._leave(answer)
            yield number, finished

    def _leave(self, answer: Answer) -> None:
        self._slots.release(answer.slot)
        answer.close()

    def _read(self, ready: Sequence[Answer], most: int, others_run: bool) -> Iterator[Numbered]:
        """Read the next piece of the first prompt. Others join the call if their pieces are as long
        and fit in: then each is computed as if it were alone. Without free cells, a prompt waits
        for the answers that run.
        """
        length = self._next_piece(ready[0], most)
        together = [ready[0]]
        for each in self._beside(ready[0], ready[1:]):
            if (len(together) + 1) * length > most or self._next_piece(each, most) != length:
                break
            together.append(each)
        batch = [
            (answer.text[place], place, slot.sequence)
            for answer in together
            for slot in [answer.slot]
            for place in range(slot.held, slot.held + length)
        ]
        if not self._slots.has_room(len(batch)):
            # Nobody will free any cells: the last to come has to give way.
            if not others_run:
                yield from self._end_full(self._number(ready[-1]), self._context.size)
        elif self._decode(together, batch, []):
            for answer in together:
                slot = answer.slot
                slot.push(answer.text[slot.held : slot.held + length])

    def _next_piece(self, answer: Answer, most: int) -> int:
        return next_piece(answer.slot.held, answer.body, self._slots.block, most)

    def _beside(self, first: Answer, others: Sequence[Answer]) -> list[Answer]:
        """The answers whose sequences follow the first one's without a gap. None where cells are
        shared: there the library computes all tokens of a call together, whatever their sequences.
        """
        if self._context.shared_cells or self._one_by_one:
            return []
        by_sequence = {each.slot.sequence: each for each in others}
        found: list[Answer] = []
        while next_one := by_sequence.get(first.slot.sequence + 1 + len(found)):
            found.append(next_one)
        return found

    def _seat_all(self) -> None:
        """Give each new answer what is in the cache of its prompt, unless one before it is about to
        read more of the same.
        """
        before: list[Answer] = []
        for answer in self._active.values():
            if not answer.seated and not self._is_awaited(answer, before):
                answer.seat(self._slots.seat(answer.slot, answer.text, answer.body))
            if not self._is_read(answer):
                before.append(answer)

    def _is_awaited(self, answer: Answer, before: Sequence[Answer]) -> bool:
        body = answer.text[: answer.body]
        known = self._slots.match(answer.slot, body)
        block = self._slots.block
        return any(reusable(other.text[: other.body], body, block) > known for other in before)

    def _close_gaps(self, answers: Sequence[Answer]) -> None:
        """Move the last answers into free slots before them: sequences with cells of their own are
        decoded in one go only while their numbers follow each other.
        """
        order = sorted(answers, key=lambda each: each.slot.sequence)
        free = self._slots.free()
        while len(order) > 1 and free and free[0].sequence < order[-1].slot.sequence:
            answer = order.pop()
            old = answer.slot
            answer.move_to(free[0])
            self._slots.move(old, free[0])
            order = sorted([*order, answer], key=lambda each: each.slot.sequence)
            free = self._slots.free()

    def _end_without_room(self, numbers: Sequence[int]) -> Iterator[Numbered]:
        """End those at the limit; where cells are shared, also the latest ones until the others
        have room.
        """
        for number in numbers:
            if self._active[number].slot.held >= self._limit:
                yield from self._end_full(number, self._limit)
        left = [number for number in numbers if number in self._active]
        while left and not self._slots.has_room(len(left)):
            yield from self._end_full(left.pop(), self._context.size)

    def _number(self, answer: Answer) -> int:
        return next(number for number, each in self._active.items() if each is answer)

    def _end_full(self, number: int, size: int) -> Iterator[Numbered]:
        stop = Stop(StopReason.CONTEXT_FULL, f"{size} tokens")
        yield from self._told(number, self._active[number].end(stop))

    def _decode(
        self,
        answers: Sequence[Answer],
        batch: Sequence[tuple[int, int, int]],
        outputs: Sequence[int] | range,
    ) -> bool:
        """Run a call. False if Ctrl-C or a deadline ended it: then nothing of it is kept."""
        # A call for rows is too short for a timer.
        with self._control.alarm(None if outputs else self._time_left()):
            done = self._context.decode(batch, outputs)
        if not done:
            for answer in answers:
                # Some of its pieces may be in the cache already.
                self._slots.restore(answer.slot)
        return done

    def _time_left(self) -> float | None:
        """Seconds until the first of the answers has to end; None without a limit."""
        deadline = min(answer.deadline for answer in self._active.values())
        return deadline - time.perf_counter() if deadline < math.inf else None

    def _tell_reading(self, reading: Sequence[Answer]) -> None:
        """Tell the progress bar how far the prompts are read; once, before any text, that they all
        are.
        """
        if reading:
            done = sum(each.slot.held for each in reading if each.seated)
            tokens = sum(each.body for each in reading)
            self._progress(min(0.99, done / max(1, tokens)), tokens)
        elif self._unread:
            self._progress(1.0, 0)
        self._unread = bool(reading)
