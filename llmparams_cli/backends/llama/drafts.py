"""Who guesses for the answers of a backend; the second model, if there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llmparams_cli.backends.llama.decoding.draft_model import DraftModel, difference
from llmparams_cli.backends.llama.decoding.drafting import (
    HOPE,
    Drafter,
    Forced,
    Lookup,
    Speculation,
    best_length,
    costs,
)
from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.backends.llama.host import hardware, memory, placement, plan
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import GgufModel, find_model
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope

GIVE_ANOTHER = "a smaller model of the same family, or --draft-model none"


def rows(settings: Settings) -> int:
    """How many rows of logits a call may ask for that checks a draft."""
    by_lookup: int = settings["prompt_lookup"]
    by_model: int = settings["draft_max"] if settings["draft_model"] else 0
    return max(by_lookup, by_model) + 1


class Drafts:
    """Guesses for `model`, which was loaded from `resolved`. Close it. `loading` is told how far
    another model is loaded, and says whether to go on.
    """

    def __init__(
        self,
        env: Environment,
        resolved: GgufModel,
        model: Model,
        control: Control,
        loading: Callable[[float], bool],
    ) -> None:
        self._env, self._resolved, self._model = env, resolved, model
        self._control, self._loading = control, loading
        self._name = ""  # of the draft model that is in memory
        self._helper: tuple[GgufModel, Model] | None = None
        self._drafter: DraftModel | None = None
        self._context: Context | None = None
        self._made_for: tuple[Any, ...] = ()  # settings and size of its context

    def load(self, settings: Settings) -> None:
        """Have the draft model in memory that these settings name, if they do. Raises ModelError
        if there is none, or it is of no use.
        """
        name: str = settings["draft_model"]
        if name == self._name:
            return
        self.close()
        if not name:
            return
        found = find_model(name, self._env)
        if not isinstance(found, GgufModel):
            raise ModelError(f"draft_model {name} is a script", GIVE_ANOTHER)
        layers = plan.layers_on_gpus(self._env, found, settings)
        memory.refuse_too_large(self._env, found, settings, layers)
        params = placement.model_params(self._env, settings, found.header, layers, self._loading)
        try:
            helper = Model(found.path, params)
        except ModelError:
            if self._control.stop:
                raise KeyboardInterrupt from None
            raise
        self._name, self._helper = name, (found, helper)
        why = difference(self._model, helper)
        if helper.keeps_states:
            why = "it keeps a state, which cannot be taken back"
        if why:
            self.close()
            raise ModelError(f"draft_model {name} cannot draft for this model: {why}", GIVE_ANOTHER)

    def speculation(
        self, settings: Settings, slots: Slots, forced: Callable[[], Sequence[int]]
    ) -> Speculation | None:
        """The drafts of an answer; None if none are wanted, or none can be. `forced` tells what its
        grammar forces next.
        """
        if rows(settings) == 1:
            return None
        threads: int = settings["threads"] or hardware.usable_cpus()
        if slots.context.sequences > 1:
            why = "several answers are written together"
        elif self._model.keeps_states:
            why = "this model keeps a state, which cannot be taken back"
        else:
            drafters = self._drafters(settings, slots.context.size, threads)
            return Speculation([(Forced(forced), rows(settings) - 1), *drafters], threads)
        name = "draft_model" if settings["draft_model"] else "prompt_lookup"
        self._env.note(f"{name} has no effect: {why}")
        return None

    def _drafters(
        self, settings: Settings, size: int, threads: int
    ) -> Iterator[tuple[Drafter, int]]:
        """Who guesses, in turn, each with the most tokens that it may guess."""
        if most := settings["prompt_lookup"]:
            yield Lookup(), most
        self.load(settings)
        if self._helper is None:
            return
        price = self._price()
        if best_length(HOPE, settings["draft_max"], costs(threads), price) == 0:
            share = f"{price:.0%}".replace("%", " %")
            self._env.note(f"draft_model has no effect: it takes {share} of the model's time")
        else:
            yield self._by_model(settings, size, price), settings["draft_max"]

    def close(self) -> None:
        self._close_context()
        if self._helper:
            self._helper[1].close()
        self._name, self._helper = "", None

    def _price(self) -> float:
        """What a token of the draft model costs, in tokens of the model: one waits for the weights
        to come from memory, or for the sums of all parameters, whichever is slower.
        """
        assert self._helper
        found, helper = self._helper
        count = llama().llama_model_n_params
        size = found.header.size / self._resolved.header.size
        return max(size, int(count(helper.handle)) / int(count(self._model.handle)))

    def _by_model(self, settings: Settings, size: int, price: float) -> DraftModel:
        """The draft model at work, in a context of its own."""
        assert self._helper
        made_for = (settings.of_scope(Scope.CONTEXT), size)
        if self._drafter is None or self._made_for != made_for:
            self._close_context()
            params = placement.context_params(settings, size, 1, shared=True)
            params.abort_callback, params.abort_callback_data = self._control.callback(
                llama().ggml_abort_callback
            )
            self._context = Context(self._helper[1], params, size)
            self._drafter = DraftModel(self._context, self._model.n_vocab, price)
            self._made_for = made_for
        return self._drafter

    def _close_context(self) -> None:
        if self._context:
            self._context.close()
        self._context, self._drafter = None, None
