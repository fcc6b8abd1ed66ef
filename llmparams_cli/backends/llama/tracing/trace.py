"""A recorded run, drawn again from its logits: through the same chain, or through another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, Protocol

from llmparams_cli.analysis.distribution import entropy, total_variation
from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.chain import GRAMMAR
from llmparams_cli.backends.llama.sampling.choices import ChoiceSampler
from llmparams_cli.backends.llama.sampling.sampler import Draws, made
from llmparams_cli.backends.llama.tracing.counterfactual import Alternative
from llmparams_cli.backends.llama.tracing.fit import Judge, admitted, removals
from llmparams_cli.backends.llama.tracing.views import Views
from llmparams_cli.backends.reply import Heard
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import BackendError
from llmparams_cli.params import seeds
from llmparams_cli.params.conflicts import FORMS, form, is_inert
from llmparams_cli.params.settings import Origin, Setting, Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Failed, Finished, Numbered, Started
from llmparams_cli.text.speech import PLAIN, Speech
from llmparams_cli.trace import (
    Counterfactual,
    Divergence,
    Effect,
    Fit,
    Report,
    TokenView,
    WhatIf,
)

NEUTRAL = Origin(Source.DEFAULT, "neutral")


class Decoder(Protocol):
    """Decodes an answer that an earlier run began, in the context that still holds that run."""

    def go_on(self, answer: Answer) -> Iterator[Numbered]: ...


class LlamaTrace:
    """Implements `trace.Trace`. `decoder` must live as long as what-ifs may go on."""

    def __init__(
        self,
        decoder: Decoder,
        model: Model,
        recording: Recording,
        settings: Settings,
        started: Started,
    ) -> None:
        self._decoder = decoder
        self._model = model
        self._recording = recording
        self._settings = settings
        self._started = started

    def __len__(self) -> int:
        return len(self._recording)

    def views(self, top: int, report: Report, coverage: float = 0.0) -> Iterator[TokenView]:
        views = Views(self._model)
        with closing(self._sampler(self._settings)) as sampler:
            for number, (logits, drawn) in enumerate(self._recording.rows(), 1):
                steps, token = sampler.walk(pointer(logits))
                if token != drawn:
                    raise BackendError(
                        f"draw {number} of the same logits gave another token the second time",
                        "this is a bug of the sampler chain; please report it",
                    )
                yield views.view(number, drawn, logits, steps, sampler, top, coverage)
                sampler.accept(drawn)
                report(number / len(self))

    def effects(self, report: Report) -> tuple[Effect, ...]:
        """Set each setting to its neutral value, alone. The other chain follows the real text with
        the same random numbers, so that what changes comes from the setting. Only mirostat and
        adaptive-p learn from the draws of the other chain. What rules the form of the answer has
        decided a draw if a first one, of the run itself, broke it.
        """
        own, thinking = self._settings, self._settings.thinking
        wanted = [each for each in own if is_active(each, own)]
        wanted += [each for each in own.only_thinking if is_active(each, thinking)]
        ruling = form(own)
        changed: list[list[int]] = [[] for _ in wanted]
        broken: list[int] = []
        with ExitStack() as stack:
            others = [
                stack.enter_context(closing(self._sampler(self._without(each)))) for each in wanted
            ]
            itself = stack.enter_context(closing(self._sampler(own))) if ruling else None
            for number, (logits, drawn) in enumerate(self._recording.rows(), 1):
                if itself:
                    if itself.walk(pointer(logits))[0][0][0] == GRAMMAR:
                        broken.append(number)
                    itself.accept(drawn)
                for other, numbers in zip(others, changed, strict=True):
                    if other.draw(pointer(logits)) != drawn:
                        numbers.append(number)
                    # Along the real text, whatever this chain would have drawn.
                    other.accept(drawn)
                report(number / len(self))
        if ruling:
            wanted, changed = [own.setting(ruling), *wanted], [broken, *changed]
        return tuple(
            Effect(each, len(self), tuple(numbers))
            for each, numbers in zip(wanted, changed, strict=True)
        )

    def texts(self) -> list[str]:
        texts = [""] * len(self)
        speech: Speech[int] = Speech()
        heard = Heard(PLAIN, self._settings["stop"])
        for place, token in enumerate(self._recording.drawn):
            ends = self._model.ends_generation(token)
            for text, *_ in speech.feed(b"" if ends else heard.data(self._model, token), place):
                texts[place] += text
        for text, place, _ in speech.finish(len(texts) - 1):
            texts[place] += text
        return texts

    def what_if(
        self, others: Sequence[Counterfactual], end: Stop, report: Report, go_on: Report | None
    ) -> tuple[WhatIf, ...]:
        with ExitStack() as stack:
            alternatives = [
                stack.enter_context(
                    closing(Alternative(self._model, self._sampler(o.settings), o, self._started))
                )
                for o in others
            ]
            found = []
            for alternative in alternatives:
                with closing(self._sampler(self._settings)) as own:
                    found.append(alternative.parting(self._recording, own, end, report))
            if go_on is None:
                return tuple(found)
            # The latest parting first: each cuts the context back to where it parts, and what is
            # left for the next one is, bit for bit, what a real run would have decoded.
            last = len(self) + 1  # for those without a draw that differs
            for i in sorted(range(len(found)), key=lambda i: -(found[i].number or last)):
                found[i] = self._ended(alternatives[i], found[i], go_on)
            return tuple(found)

    def divergences(self, other: Settings) -> Iterator[Divergence]:
        for drawn, one, two in self._pairs(self._settings, other):
            best = [(int(p.argmax()), float(p.max())) for p in (one, two)]
            yield Divergence(
                self._model.name(drawn),
                total_variation(one, two),
                tuple((self._model.name(token), p) for token, p in best),
            )

    def chances(self, settings: Settings, other: Settings) -> tuple[float, float]:
        pairs = [
            (entropy(one), total_variation(one, two))
            for _, one, two in self._pairs(settings, other)
        ]
        entropies, variations = zip(*pairs, strict=True)
        return sum(entropies) / len(pairs), sum(variations) / len(pairs)

    def fit(self, report: Report) -> Fit:
        with closing(Judge(self._model, self._settings, self._started)) as judge:
            return admitted(self._model, self._recording, removals(self._recording, judge, report))

    def close(self) -> None:
        self._recording.close()

    def _pairs(self, one: Settings, two: Settings) -> Iterator[tuple[int, Any, Any]]:
        """Every token drawn, with the two distributions that it would be drawn from at its
        position. Grammars do not count: they are not part of the distribution.
        """
        with ExitStack() as stack:
            samplers = [
                stack.enter_context(closing(self._sampler(each, constrained=False)))
                for each in (one, two)
            ]
            for logits, drawn in self._recording.rows():
                ours, theirs = (each.distribution(pointer(logits)) for each in samplers)
                yield drawn, ours, theirs
                for each in samplers:
                    each.accept(drawn)

    def _sampler(self, settings: Settings, *, constrained: bool = True) -> Draws:
        """A chain that has drawn nothing yet; with the run's own seed, unless `settings` have
        another.
        """
        same = settings["seed"] == self._settings["seed"]
        # A seed of -1 in both settings means the one that this run has got by chance.
        seed = self._started.seed if same else seeds.in_use(settings)
        tree = self._recording.tree
        if tree and settings["choices"] and constrained:
            return ChoiceSampler(tree, settings["temperature"], seed, self._model.n_vocab)
        return made(self._model, settings, seed, self._started, _silently, constrained=constrained)

    def _without(self, setting: Setting) -> Settings:
        return self._settings.at(setting, setting.param.neutral, NEUTRAL)

    def _ended(self, alternative: Alternative, found: WhatIf, report: Report) -> WhatIf:
        """The what-if with its text and end, decoded if they are still open."""
        answer = alternative.open_end(found)
        if answer is None:
            return found
        limit = answer.request.settings["max_tokens"]
        for _, event in self._decoder.go_on(answer):
            if isinstance(event, Failed):
                raise alternative.refused(event.error)
            if isinstance(event, Finished):
                if event.stop.reason is StopReason.INTERRUPTED:
                    raise KeyboardInterrupt
                found = alternative.ended(found, event)
            report(len(answer.text) / limit if limit > 0 else 0.0)
        report(1.0)
        return found


def _silently(_note: str) -> None:
    """Drop notes: they were shown when the run began."""


def is_active(setting: Setting, settings: Settings) -> bool:
    """Does this value decide draws, can it be switched off alone, and is it on, in effect, or at
    least asked for?
    """
    param = setting.param
    decides = param.scope is Scope.SAMPLING or param.name == "ignore_eos"  # it forbids tokens
    chooses = decides and param.neutral is not None and param.name not in FORMS
    on = setting.value != param.neutral
    return chooses and on and not (setting.is_default and is_inert(param, settings))
