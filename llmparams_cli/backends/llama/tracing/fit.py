"""Teacher forcing: what a given text demands of the settings, and what makes it impossible.

A token is impossible if no random numbers let a real run draw it after the text before it. Such a
run draws freely and, if that breaks the grammar, once more among all that the grammar allows. So a
token is possible if the grammar allows it, and the last stage of the chain keeps it either in the
free draw or, where a free draw can break the grammar, in the second one. XTC with a probability
below 1 may act or not: either may keep the token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from llmparams_cli.analysis.distribution import softmax
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.llama.sampling.candidates import candidates
from llmparams_cli.backends.llama.sampling.chain import CLOSING, GRAMMAR, Chain, Step
from llmparams_cli.backends.llama.sampling.phases import Phases
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.protocol import Started
from llmparams_cli.trace import Fit, Forced

FORCED = Origin(Source.DEFAULT, "a given text")
SEED = 0  # any: the question is what some random numbers can do


class Judge:
    """Tells for each token of a text, in order, what makes it impossible. Close it.

    After a token that the grammar forbids the grammar is dropped: nothing could follow.
    """

    def __init__(self, model: Model, settings: Settings, started: Started) -> None:
        self._n_vocab = model.n_vocab
        with ExitStack() as stack:
            rules = grammar.from_settings(model, settings, lambda _note: None)
            self._phases = Phases.of(model, settings, started, rules)
            if self._phases:
                stack.enter_context(closing(self._phases))
            sets = [settings]
            if self._phases and settings.only_thinking:
                sets.append(settings.thinking)
            self._sets = [
                stack.enter_context(closing(_Outcomes(model, each, started))) for each in sets
            ]
            # All are made: from here on `close` frees them, before this the stack did.
            self._owned = stack.pop_all()

    def removed_by(self, logits: Any, wanted: int) -> str:
        """The first stage that removes `wanted` from these logits (a pointer to n_vocab floats);
        empty if the token is possible. Then goes on as if it had been drawn.
        """
        phases = self._phases
        now = self._sets[-1 if phases and phases.is_thinking else 0]
        walks = now.walks(lambda: candidates(logits, self._n_vocab))
        removed = self._removed(now, logits, wanted, walks)
        if phases:
            if removed == GRAMMAR:
                phases.drop_grammar()
            phases.accept(wanted)
        now.learn(wanted, walks)
        for outcomes in self._sets:
            outcomes.accept(wanted)
        return removed

    def close(self) -> None:
        self._owned.close()

    def _removed(self, now: _Outcomes, logits: Any, wanted: int, walks: list[list[Step]]) -> str:
        """What removes `wanted`; second draws are added to the `walks`."""
        phases = self._phases
        if phases and phases.due is not None:
            return "" if wanted == phases.due else CLOSING
        if phases and not phases.allows(wanted):
            return GRAMMAR
        walks += self._second_draws(now, logits, walks)
        removed = [_gone_at(steps, wanted) for steps in walks]
        return "" if "" in removed else removed[0]

    def _second_draws(
        self, now: _Outcomes, logits: Any, walks: Sequence[list[Step]]
    ) -> list[list[Step]]:
        """What the stages leave of all that the grammar allows, if a free draw can break it."""
        phases = self._phases
        if phases is None or not phases.has_grammar:
            return []
        import numpy as np

        allowed = phases.left(logits).table["id"].copy()
        if all(np.isin(_drawable(steps), allowed).all() for steps in walks):
            return []
        now.renew_mirostat()
        return now.walks(lambda: phases.left(logits))


class _Outcomes:
    """The chains of one set of settings, one for each way in which XTC may act. Close it."""

    def __init__(self, model: Model, settings: Settings, started: Started) -> None:
        self._settings = settings
        self._mu = 2.0 * settings["mirostat_tau"]  # mirostat's threshold, which starts there
        context, prompt = started.context, started.tokens
        with ExitStack() as stack:
            self._chains = [
                stack.enter_context(closing(Chain(model, outcome, SEED, context, prompt)))
                for outcome in _outcomes(settings)
            ]
            self._owned = stack.pop_all()

    def walks(self, array: Callable[[], Any]) -> list[list[Step]]:
        """What each chain leaves of the candidates, stage by stage."""
        return [chain.walk(array())[0] for chain in self._chains]

    def accept(self, token: int) -> None:
        for chain in self._chains:
            chain.accept(token)
        self.renew_mirostat()

    def learn(self, token: int, walks: Sequence[list[Step]]) -> None:
        """Update mirostat's threshold as this draw would; a draw that it cannot make teaches it
        nothing.
        """
        tau, eta = self._settings["mirostat_tau"], self._settings["mirostat_eta"]
        for left in (steps[-1][1] for steps in walks):
            weights = _weights(left)
            own = float(weights[left["id"] == token].sum())
            if own > 0:
                # Mirostat's update: the surprise of the token in bits, less the target.
                self._mu -= eta * (-math.log2(own / float(weights.sum())) - tau)
                return

    def renew_mirostat(self) -> None:
        """Mirostat learns from its own draws; here it has to learn from the text, so it is made
        anew.
        """
        half = Assignment("mirostat_tau", self._mu / 2, FORCED)  # it begins at twice this value
        for chain in self._chains:
            if chain.stages[-1].startswith("mirostat"):
                chain.renew_draw(self._settings.but(half))

    def close(self) -> None:
        self._owned.close()


def removals(
    recording: Recording, judge: Judge, progress: Callable[[float], None]
) -> Iterator[str]:
    """For each recorded token, the stage that makes it impossible; empty for none."""
    for number, (logits, wanted) in enumerate(recording.rows(), 1):
        yield judge.removed_by(pointer(logits), wanted)
        progress(number / len(recording))


def admitted(model: Model, recording: Recording, removed: Iterable[str]) -> Fit:
    """What a recorded, given text demands of top-k, top-p and min-p; and its perplexity."""
    import numpy as np

    tokens = []
    for (logits, wanted), stage in zip(recording.rows(), removed, strict=True):
        probabilities = softmax(logits)
        own = probabilities[wanted]
        rank = 1 + int((probabilities > own).sum())
        tokens.append(
            Forced(
                wanted,
                model.name(wanted),
                float(np.log(own)) if own > 0 else -math.inf,
                rank,
                _before(logits, rank),
                float(own / probabilities.max()),
                stage,
            )
        )
    mean = sum(token.logprob for token in tokens) / len(tokens)
    return Fit(
        tuple(tokens),
        math.exp(-mean),
        max(token.rank for token in tokens),
        max(token.before for token in tokens),
        min(token.share for token in tokens),
    )


def _before(logits: Any, rank: int) -> float:
    """The probability of all that rank before this, summed in single precision as top-p does."""
    import numpy as np

    if rank == 1:
        return 0.0
    weights = np.exp(logits - logits.max())
    shares = np.sort(weights / np.cumsum(weights)[-1])[::-1]
    return min(1.0, float(np.cumsum(shares[: rank - 1])[-1]))


def _outcomes(settings: Settings) -> list[Settings]:
    """The settings with XTC surely off and surely on, where it is left to chance."""
    if not 0 < settings["xtc_probability"] < 1:
        return [settings]
    return [settings.but(Assignment("xtc_probability", sure, FORCED)) for sure in (0.0, 1.0)]


def _gone_at(steps: Sequence[Step], token: int) -> str:
    """The first stage that removes the token, or from which on it has no weight."""
    if token in _drawable(steps):
        return ""
    # A logit may stay finite and yet be too low to have any weight in single precision.
    gone = (name for name, left in steps if not _in(left, token))
    weightless = (name for name, left in steps if token not in _with_weight(left))
    return next(gone, "") or next(weightless)


def _drawable(steps: Sequence[Step]) -> Any:
    """The ids of all tokens that the last stage may draw."""
    return _with_weight(steps[-1][1])


def _with_weight(left: Any) -> Any:
    return left["id"][_weights(left) > 0]


def _weights(left: Any) -> Any:
    """The candidates' weights in the draw, unnormalised, in single precision as there."""
    import numpy as np

    return np.exp(left["logit"] - left["logit"].max())


def _in(table: Any, token: int) -> bool:
    """Is this token still a candidate?"""
    return bool(((table["id"] == token) & (table["logit"] > -float("inf"))).any())
