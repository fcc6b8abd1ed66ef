"""What other settings would have made of a run: its logits drawn again, and what follows.

The other chain makes the draws of the run from the same logits, with the random numbers of
its seed, until one comes out otherwise or its text ends. From there on the model has to be
asked: its text is then that of a real run with those settings.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from llmparams_cli.analysis.explanation import WhatIf
from llmparams_cli.backends.llama.decoding.generate import Conversation
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.handles import Model
from llmparams_cli.backends.llama.sampling.chain import Sampler, Step
from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Stop, StopReason
from llmparams_cli.text.stream import TextStream

LIMITS = (StopReason.STOP_SEQUENCE, StopReason.MAX_TOKENS)  # after these a text can go on


class Line:
    """A text that grows token by token until one of its settings ends it, as an answer does."""

    def __init__(self, model: Model, settings: Settings) -> None:
        self.tokens: list[int] = []
        self.stop: Stop | None = None
        self._model = model
        self._max_tokens: int = settings["max_tokens"]
        self._stream: TextStream[None] = TextStream(settings["stop"])
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """What is certain to belong to it; once it has ended, all of it."""
        return "".join(self._text)

    def add(self, token: int | None) -> None:
        """The next draw; None: the grammar is complete."""
        if token is None or self._model.ends_generation(token):
            detail = "the grammar is complete" if token is None else self._model.name(token)
            self.end(Stop(StopReason.END_OF_GENERATION, detail))
            return
        self.tokens.append(token)
        self._text += [text for text, _ in self._stream.feed(self._model.piece(token), None)]
        if self._stream.matched is not None:
            self.stop = Stop(StopReason.STOP_SEQUENCE, self._stream.matched)
        elif 0 <= self._max_tokens <= len(self.tokens):
            self.end(Stop(StopReason.MAX_TOKENS, f"{self._max_tokens} tokens"))

    def end(self, stop: Stop) -> None:
        """End without a stop sequence: what was held back belongs to the text."""
        self.stop = stop
        self._text += [text for text, _ in self._stream.finish(None)]


class Alternative:
    """One text as other settings make it: `compare` first, then `go_on`. Close it."""

    def __init__(self, model: Model, sampler: Sampler, settings: Settings, name: str) -> None:
        self._model = model
        self._sampler = sampler
        self._settings = settings
        self._name = name
        self._line = Line(model, settings)

    def compare(
        self,
        recording: Recording,
        own: Sampler,
        end: Stop,
        changes: tuple[str, ...],
        progress: Callable[[float], None],
    ) -> WhatIf:
        """Where the run, which `own` draws again and which ended with `end`, parts from it."""
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
            if drawn is None:
                break
            own.accept(drawn)
            self._add(drawn)
            if self._line.stop and (number < len(recording) or self._line.stop != end):
                found = WhatIf(changes, None, same_text=self._certain_text(), ends_at=number)
                return self._as_known(found)
            progress(number / len(recording))
        goes_on = self._line.stop is None and end.reason in LIMITS
        return WhatIf(changes, None, same_text=self._certain_text(), goes_on=goes_on)

    def go_on(
        self,
        conversation: Conversation,
        prompt: Sequence[int],
        found: WhatIf,
        progress: Callable[[float], None],
    ) -> WhatIf:
        """Decode the text to its end, if that is open."""
        line, limit = self._line, self._settings["max_tokens"]
        if line.stop or not (found.number or found.goes_on):
            return found
        tokens = [*prompt, *line.tokens]
        with closing(conversation.draws(self._settings, tokens, self._sampler)) as draws:
            for drawn in draws:
                if isinstance(drawn, Stop):
                    line.end(drawn)
                else:
                    self._refuse_no_token(drawn)
                    line.add(drawn)
                if line.stop:
                    break
                progress(len(line.tokens) / limit if limit > 0 else 0.0)
        progress(1.0)
        return self._as_known(found)

    def close(self) -> None:
        self._sampler.close()

    def _add(self, token: int | None) -> None:
        self._line.add(token)
        if token is not None:
            self._sampler.accept(token)

    def _as_known(self, found: WhatIf) -> WhatIf:
        if self._line.stop is None:
            return found
        return replace(found, stop=self._line.stop, text=self._line.text)

    def _certain_text(self) -> str:
        """The text of the tokens so far, without half a character at its end."""
        data = b"".join(map(self._model.piece, self._line.tokens))
        return codecs.getincrementaldecoder("utf-8")("replace").decode(data)

    def _name_of(self, token: int | None) -> str:
        return "" if token is None else self._model.name(token)

    def _refuse_no_token(self, drawn: int | None) -> None:
        if drawn is None and not self._sampler.grammar_is_complete():
            raise UsageError(
                f"--what-if {self._name}: no token is left that both the grammar and the other "
                "settings allow"
            )


def _draws(recording: Recording, end: Stop) -> Iterator[tuple[Any, int | None]]:
    """The run's draws; where a complete grammar ended it, that one too, as None."""
    yield from recording.rows()
    if end.reason is StopReason.END_OF_GENERATION and recording.is_open:
        yield recording.row(len(recording)), None


def _probability(steps: Sequence[Step], token: int | None) -> float | None:
    """That of a token in what the last stage left; None for no token."""
    import numpy as np

    left = steps[-1][1]
    if token is None:
        return None
    weights = np.exp(left["logit"].astype(np.float64) - left["logit"].max())
    return float(weights[left["id"] == token].sum() / weights.sum())
