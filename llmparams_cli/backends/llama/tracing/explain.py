"""One recorded run, looked at from all sides: what each stage did, what each setting changed.

Everything is drawn again from the recorded logits through the real chain with the same
seed, so the numbers shown are the numbers used; a draw that comes out otherwise is an error.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from llmparams_cli.analysis.explanation import Penalised, Stage, TokenView, WhatIf
from llmparams_cli.backends.llama.decoding.generate import draw_seed
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.handles import Model
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.llama.sampling.chain import Sampler, Step
from llmparams_cli.backends.llama.tracing.alternative import Alternative
from llmparams_cli.errors import BackendError
from llmparams_cli.params.conflicts import is_inert
from llmparams_cli.params.settings import Assignment, Origin, Setting, Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Effect, Stop
from llmparams_cli.text.stream import TextStream


class Replay:
    """The draws of a run, made again. `prompt` are its token ids, `seed` the one in use."""

    def __init__(
        self,
        model: Model,
        recording: Recording,
        settings: Settings,
        *,
        prompt: Sequence[int],
        seed: int,
        context: int,
    ) -> None:
        self._model = model
        self._recording = recording
        self._settings = settings
        self.prompt = list(prompt)
        self._seed = seed
        self._context = context
        self._known: dict[int, tuple[int, str]] = {}

    def views(
        self, top: int, progress: Callable[[float], None], coverage: float = 0.0
    ) -> Iterator[TokenView]:
        """Every draw in full, with its `top` candidates at least; with more of them, up to
        MOST_SHOWN, until they hold this share of the model's own probability.
        """
        with closing(self._sampler(self._settings)) as sampler:
            for number, (logits, drawn) in enumerate(self._recording.rows(), 1):
                steps, token = sampler.walk(pointer(logits))
                if token != drawn:
                    raise BackendError(
                        f"draw {number} of the same logits gave another token the second time",
                        "this is a bug of the sampler chain; please report it",
                    )
                count = max(top, min(_covering(logits, coverage), MOST_SHOWN))
                yield self._view(number, drawn, logits, steps, sampler, count)
                sampler.accept(drawn)
                progress(number / len(self._recording))

    def effects(self, progress: Callable[[float], None]) -> tuple[Effect, ...]:
        """For every sampling value that is not neutral: the draws that it changed.

        Each setting is put to its neutral value alone; the other chain follows the real text
        and uses the same random numbers, so a change comes from the setting. Mirostat and
        adaptive-p alone learn from its own draws.
        """
        wanted = [each for each in self._settings if is_active(each, self._settings)]
        changed: list[list[int]] = [[] for _ in wanted]
        with ExitStack() as stack:
            others = [
                stack.enter_context(closing(self._sampler(self._without(each)))) for each in wanted
            ]
            for number, (logits, drawn) in enumerate(self._recording.rows(), 1):
                for other, numbers in zip(others, changed, strict=True):
                    if other.draw(pointer(logits)) != drawn:
                        numbers.append(number)
                    other.accept(drawn)
                progress(number / len(self._recording))
        draws = len(self._recording)
        return tuple(
            Effect(each, draws, tuple(numbers))
            for each, numbers in zip(wanted, changed, strict=True)
        )

    def texts(self) -> list[str]:
        """The text that each draw completed, that which a stop sequence cut off included."""
        texts = [""] * len(self._recording)
        stream: TextStream[int] = TextStream()
        for place, token in enumerate(self._recording.drawn):
            ends = self._model.ends_generation(token)
            for text, _ in stream.feed(b"" if ends else self._model.piece(token), place):
                texts[place] += text
        for text, place in stream.finish(len(texts) - 1):
            texts[place] += text
        return texts

    def alternative(self, settings: Settings, name: str) -> Alternative:
        """The run with other settings; `name` is for errors. Close it."""
        return Alternative(self._model, self._sampler(settings), settings, name)

    def what_if(
        self,
        other: Alternative,
        end: Stop,
        changes: tuple[str, ...],
        progress: Callable[[float], None],
    ) -> WhatIf:
        """Where the run, which ended with `end`, parts from another one."""
        with closing(self._sampler(self._settings)) as own:
            return other.compare(self._recording, own, end, changes, progress)

    def _sampler(self, settings: Settings) -> Sampler:
        constraint = grammar.from_settings(self._model, settings, lambda _note: None)
        same = settings["seed"] == self._settings["seed"]
        seed = self._seed if same else draw_seed(settings)
        return Sampler(self._model, settings, seed, self._context, constraint, self.prompt)

    def _without(self, setting: Setting) -> Settings:
        neutral = Assignment(setting.param.name, setting.param.neutral, NEUTRAL)
        return self._settings.but(neutral)

    def _view(
        self,
        number: int,
        drawn: int,
        logits: Any,
        steps: Sequence[Step],
        sampler: Sampler,
        top: int,
    ) -> TokenView:
        import numpy as np

        table = np.zeros(len(logits), dtype=[("id", "<i4"), ("logit", "<f4")])
        table["id"], table["logit"] = np.arange(len(logits)), logits
        shown = _shown(table, steps, drawn, top)
        all_steps = [("model", table), *steps]
        stages = []
        before = None
        for name, left in all_steps:
            stage, before = _stage(name, left, before, shown, drawn, len(logits))
            stages.append(stage)
        first = softmax(logits)
        ends = self._model.end_tokens
        rank = 1 + int((logits > logits[ends].max()).sum()) if ends else len(logits)
        penalties = sampler.penalties
        return TokenView(
            number,
            drawn,
            self._model.name(drawn),
            self._model.ends_generation(drawn),
            tuple(map(self._candidate, shown)),
            tuple(stages),
            (float(first[ends].sum()) if ends else 0.0, rank),
            self._penalised(table, steps, sampler),
            penalties.size if penalties else 0,
        )

    def _candidate(self, token: int) -> tuple[int, str]:
        """One object for all draws: a page keeps thousands of draws with hundreds of them."""
        if token not in self._known:
            self._known[token] = (token, self._model.name(token))
        return self._known[token]

    def _penalised(
        self, table: Any, steps: Sequence[Step], sampler: Sampler
    ) -> tuple[Penalised, ...]:
        """The ledger: every token in the window that is still a candidate."""
        stage = sampler.penalties
        names = [name for name, _ in steps]
        if stage is None or "penalties" not in names:
            return ()
        at = names.index("penalties")
        before = _by_id(steps[at - 1][1] if at else table)
        after = _by_id(steps[at][1])
        penalties = stage.penalties
        entries = []
        for token, count in stage.window.counts.items():
            if before.get(token, -math.inf) > -math.inf:
                logit = before[token]
                parts = penalties.parts(logit, count)
                other, _, _ = penalties.grown_otherwise.parts(logit, count)
                name = self._model.name(token)
                entries.append(Penalised(token, name, count, logit, *parts, after[token], other))
        return tuple(sorted(entries, key=lambda entry: entry.after - entry.before))


MOST_SHOWN = 1000
NEUTRAL = Origin(Source.DEFAULT, "neutral")


def is_active(setting: Setting, settings: Settings) -> bool:
    """Is this a value that decides draws, that can be switched off alone, and was not, or was
    asked for?
    """
    param = setting.param
    decides = param.scope is Scope.SAMPLING or param.name == "ignore_eos"  # it forbids tokens
    chooses = decides and param.neutral is not None
    on = setting.value != param.neutral
    return chooses and on and not (setting.is_default and is_inert(param, settings))


def _by_id(table: Any) -> dict[int, float]:
    return dict(zip(table["id"].tolist(), table["logit"].tolist(), strict=True))


def _covering(logits: Any, coverage: float) -> int:
    """How many of the most probable tokens hold this share of the probability."""
    import numpy as np

    if coverage <= 0:
        return 0
    best_first = np.sort(softmax(logits))[::-1]
    return int(np.searchsorted(np.cumsum(best_first), coverage)) + 1


def _shown(table: Any, steps: Sequence[Step], drawn: int, top: int) -> list[int]:
    """The tokens worth showing: the model's best, the final best, and the drawn one."""
    import numpy as np

    count = min(top, len(table))
    best = np.argpartition(-table["logit"], count - 1)[:count]
    best = best[np.argsort(-table["logit"][best], kind="stable")]
    left = steps[-1][1] if steps else table
    final = left["id"][np.argsort(-left["logit"], kind="stable")[:count]]
    return list(dict.fromkeys([*best.tolist(), *final.tolist(), drawn]))


def _stage(
    name: str, left: Any, before: Any, shown: Sequence[int], drawn: int, size: int
) -> tuple[Stage, Any]:
    """The stage, and what it left: a probability for each token. `before` is that of the stage
    before it, or None.
    """
    import numpy as np

    logits = np.full(size, -np.inf, dtype=np.float32)
    logits[left["id"]] = left["logit"]
    there = logits > -np.inf
    log_total = _log_total(logits)
    probabilities = np.exp(logits.astype(np.float64) - log_total)
    cut = 0.0 if before is None else float(before[~there].sum())
    seen = probabilities[probabilities > 0]
    entropy = -float((seen * np.log2(seen)).sum())
    rank = 1 + int((logits > logits[drawn]).sum()) if there[drawn] else None
    kept = array("f", logits[shown].tobytes())
    stage = Stage(name, int(there.sum()), cut, max(0.0, entropy), rank, kept, log_total)
    return stage, probabilities


def softmax(logits: Any) -> Any:
    """Probabilities of logits, in double precision."""
    import numpy as np

    return np.exp(logits.astype(np.float64) - _log_total(logits))


def _log_total(logits: Any) -> float:
    """The logarithm of the sum of their exponentials."""
    import numpy as np

    top = float(logits.max())
    return top + float(np.log(np.exp(logits.astype(np.float64) - top).sum()))
