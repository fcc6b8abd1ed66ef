"""The sampler of one sequence: a chain of stages, another one while the model thinks, the grammar.

A draw that the grammar forbids is repeated among what it allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

from llmparams_cli.analysis.distribution import entropy, softmax
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import (
    candidates,
    left_of,
    only,
    selected,
)
from llmparams_cli.backends.llama.sampling.chain import CLOSING, GRAMMAR, Chain, Step
from llmparams_cli.backends.llama.sampling.choices import ChoiceSampler
from llmparams_cli.backends.llama.sampling.grammar import from_settings
from llmparams_cli.backends.llama.sampling.penalties import PenaltyStage
from llmparams_cli.backends.llama.sampling.phases import Phases
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Started


class Sampler:
    """Draws tokens from logits. Owns its chains and the grammar in `phases`. Close it.

    Without `phases` it draws every token by the settings of the answer.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        seed: int,
        context_size: int,
        phases: Phases | None = None,
        prompt: Sequence[int] = (),
    ) -> None:
        self._model = model
        self._n_vocab = model.n_vocab
        self._phases = phases
        with ExitStack() as stack:
            if phases:
                stack.enter_context(closing(phases))
            sets = [settings]
            if phases and settings.only_thinking:
                sets.append(settings.thinking)
            self._chains = [
                stack.enter_context(closing(Chain(model, each, seed, context_size, prompt)))
                for each in sets
            ]
            # All are made: from here on `close` frees them, before this the stack did.
            self._owned = stack.pop_all()

    @property
    def chain(self) -> Chain:
        """The one that draws the next token."""
        is_thinking = self._phases is not None and self._phases.is_thinking
        return self._chains[-1 if is_thinking else 0]

    @property
    def penalties(self) -> PenaltyStage | None:
        """The stage of the penalties, if they are on."""
        return self.chain.penalties

    def sample(self, context: Context, row: int) -> int | None:
        """Draw a token from output `row` of the last batch, and accept it.

        None when the grammar is complete and nothing may follow.
        """
        phases = self._phases
        if phases is None or not (phases.has_grammar or phases.due is not None):
            chain = self.chain
            token = chain.sample(context, row)
            self._accept(token, besides=chain)
            return token
        drawn = self.draw(context.logits(row))
        if drawn is not None:
            self.accept(drawn)
        return drawn

    def measured(self, context: Context, row: int) -> tuple[int | None, float]:
        """The same, and the entropy in bits of the distribution that the token was drawn from."""
        is_sure = self.chain.is_sure  # it marks its choice and removes nothing
        token, array = self._drawn(context.logits(row))
        if token is None:
            return None, 0.0
        self.accept(token)
        return token, 0.0 if is_sure else entropy(softmax(left_of(array)["logit"]))

    def draw(self, logits: Any) -> int | None:
        """The same from a pointer to n_vocab logits, but the token is not accepted yet."""
        return self._drawn(logits)[0]

    def _drawn(self, logits: Any) -> tuple[int | None, Any]:
        """The token, and the candidates among which it was drawn.

        As llama.cpp's common_sampler_sample does: draw freely first, and once more among what the
        grammar allows only if that breaks it, because testing every token is slow.
        """
        phases = self._phases
        if phases and phases.due is not None:
            return phases.due, only(candidates(logits, self._n_vocab), phases.due)
        token, array = self.chain.draw_from(logits)
        if phases is None or phases.allows(token):
            return token, array
        allowed = phases.left(logits)
        if allowed.size:
            self.chain.draw(allowed)
        return _possible(allowed), allowed

    def walk(self, logits: Any) -> tuple[list[Step], int | None]:
        """As `draw`, but stage by stage: the name of each with a copy of the candidates that it
        left (a numpy table with id and logit), and the token.

        Where a free draw breaks the grammar, 'grammar' is the first stage.
        """
        array, phases = candidates(logits, self._n_vocab), self._phases
        if phases and phases.due is not None:
            return [(CLOSING, left_of(only(array, phases.due)).copy())], phases.due
        steps, token = self.chain.walk(array)
        if phases is None or phases.allows(token):
            return steps, token
        allowed = phases.left(logits)
        steps = [(GRAMMAR, allowed.table.copy())]
        if allowed.size:
            steps += self.chain.walk(allowed)[0]
        return steps, _possible(allowed)

    def allowed(self, logits: Any, token: int) -> Any:
        """Which tokens the grammar allows, as a row of bools by token id; None where the one that
        is drawn here, `token`, is not its business.
        """
        import numpy as np

        if self._phases is None or not self._phases.has_say(token):
            return None
        allowed = np.zeros(self._n_vocab, bool)
        allowed[self._phases.left(logits).table["id"]] = True
        return allowed

    def distribution(self, logits: Any) -> Any:
        """The probabilities, by token id, with which `sample` draws from these logits (a pointer to
        n_vocab floats), without the grammar. Accepts nothing.
        """
        import numpy as np

        phases = self._phases
        probabilities = np.zeros(self._n_vocab)
        if phases and phases.due is not None:
            probabilities[phases.due] = 1.0
            return probabilities
        token, array = self.chain.draw_from(logits)
        if self.chain.is_sure:
            probabilities[token] = 1.0
            return probabilities
        left = left_of(array)
        probabilities[left["id"]] = softmax(left["logit"])
        return probabilities

    def accept(self, token: int) -> None:
        """Tell the grammar and the stages with a memory which token was drawn."""
        self._accept(token)

    def forced(self) -> list[int]:
        """Tokens that spell what the grammar forces next; others that spell it may be drawn."""
        text = self._phases.forced() if self._phases else b""
        return self._model.tokenize(text.decode(errors="ignore"), goes_on=True) if text else []

    def is_complete(self) -> bool:
        """May the text end here, as far as the grammar goes?"""
        return self._phases is None or self._phases.is_complete()

    def close(self) -> None:
        self._owned.close()

    def _accept(self, token: int, besides: Chain | None = None) -> None:
        for chain in self._chains:
            if chain is not besides:
                chain.accept(token)
        if self._phases:
            self._phases.accept(token)


Draws = Sampler | ChoiceSampler


def _possible(array: Any) -> int | None:
    """The token that was drawn from these candidates; None if there are none, or if the settings
    forbid all of them.
    """
    if not array.size or not math.isfinite(array.data[array.selected].logit):
        return None
    return selected(array)


def made(
    model: Model,
    settings: Settings,
    seed: int,
    started: Started,
    note: Callable[[str], None],
    *,
    constrained: bool = True,
) -> Sampler:
    """The sampler of the answer to a prompt, with nothing drawn yet."""
    grammar = from_settings(model, settings, note) if constrained else None
    phases = Phases.of(model, settings, started, grammar)
    return Sampler(model, settings, seed, started.context, phases, started.tokens)
