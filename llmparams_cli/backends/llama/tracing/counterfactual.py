"""A counterfactual: the logits of a run drawn again with other settings, and what follows.

The other chain draws from the same logits as the run, with the random numbers of its seed, until a
draw differs or its text ends. From there on the model has to be asked: the text is then that of a
real run with those settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from llmparams_cli.analysis.distribution import softmax
from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.chain import Step
from llmparams_cli.backends.llama.sampling.sampler import Draws
from llmparams_cli.backends.reply import Reply
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.protocol import Finished, Request, Started, Token
from llmparams_cli.text.utf8 import certain
from llmparams_cli.trace import Counterfactual, Report, WhatIf

LIMITS = (StopReason.STOP_SEQUENCE, StopReason.MAX_TOKENS)  # after these a text can go on


class Alternative:
    """One text as other settings make it: first its `parting`, then its `open_end`. Close it."""

    def __init__(
        self, model: Model, sampler: Draws, other: Counterfactual, started: Started
    ) -> None:
        self._model = model
        self._sampler = sampler
        self._other = other
        self._started = started
        self._drawn: list[int] = []
        self._reply = Reply(other.settings, started)
        self._is_owner = True

    def parting(self, recording: Recording, own: Draws, end: Stop, report: Report) -> WhatIf:
        """Where the other text parts from the run, which `own` draws again and which ended with
        `end`.
        """
        changes = self._other.changes
        for number, (logits, drawn) in enumerate(_draws(recording, end), 1):
            ours, _ = own.walk(pointer(logits))
            theirs, instead = self._sampler.walk(pointer(logits))
            self._refuse_no_token(instead)
            if instead != drawn:
                found = WhatIf(
                    changes,
                    number,
                    self._name_of(drawn),
                    self._name_of(instead),
                    _probability(ours, drawn),
                    _probability(theirs, instead),
                    self._certain_text(),
                )
                self._add(instead)
                return self._as_known(found)
            # Both chains ended here, with a complete grammar.
            if drawn is None:
                break
            own.accept(drawn)
            self._add(drawn)
            stop = self._reply.stop
            # Other settings may end the same text earlier, or for another reason: stop,
            # max_tokens.
            if stop and (number < len(recording) or stop != end):
                found = WhatIf(changes, None, same_text=self._certain_text(), ends_at=number)
                return self._as_known(found)
            report(number / len(recording))
        goes_on = self._reply.stop is None and end.reason in LIMITS
        return WhatIf(changes, None, same_text=self._certain_text(), goes_on=goes_on)

    def open_end(self, found: WhatIf) -> Answer | None:
        """The answer to be decoded from here on, if the end is open; the sampler then belongs to
        it.
        """
        if self._reply.stop or not (found.number or found.goes_on):
            return None
        self._is_owner = False
        request = Request((), self._other.settings)
        return Answer(self._model, request, self._started, self._sampler, drawn=self._drawn)

    def ended(self, found: WhatIf, finished: Finished) -> WhatIf:
        """The what-if with the text and the end that decoding brought."""
        return replace(found, stop=finished.stop, text=finished.text, reasoning=finished.reasoning)

    def refused(self, error: LlmparamsError) -> LlmparamsError:
        """The error, with the name of this what-if."""
        return type(error)(f"--what-if {self._other.name}: {error.message}", error.hint)

    def close(self) -> None:
        if self._is_owner:
            self._sampler.close()

    def _add(self, token: int | None) -> None:
        if token is None or self._model.ends_generation(token):
            name = None if token is None else self._model.name(token)
            self._reply.end_token(name)
        else:
            self._drawn.append(token)
            self._reply.add(self._model, Token(token, ""))
        if token is not None:
            self._sampler.accept(token)

    def _as_known(self, found: WhatIf) -> WhatIf:
        reply = self._reply
        if reply.stop is None:
            return found
        return replace(found, stop=reply.stop, text=reply.text, reasoning=reply.reasoning)

    def _certain_text(self) -> str:
        """The text of the tokens so far, without half a character at its end."""
        return certain(b"".join(map(self._model.piece, self._drawn)))

    def _name_of(self, token: int | None) -> str:
        return "" if token is None else self._model.name(token)

    def _refuse_no_token(self, drawn: int | None) -> None:
        if drawn is None and not self._sampler.is_complete():
            raise UsageError(
                f"--what-if {self._other.name}: no token is left that both the grammar and the "
                "other settings allow"
            )


def _draws(recording: Recording, end: Stop) -> Iterator[tuple[Any, int | None]]:
    """The draws of the run: (logits, token); if a complete grammar ended it, at last its row
    without a token (None).
    """
    yield from recording.rows()
    if end.reason is StopReason.END_OF_GENERATION and recording.is_open:
        yield recording.row(len(recording)), None


def _probability(steps: Sequence[Step], token: int | None) -> float | None:
    """The probability of a token in what the last stage left; None for no token."""
    left = steps[-1][1]
    if token is None:
        return None
    return float(softmax(left["logit"])[left["id"] == token].sum())
