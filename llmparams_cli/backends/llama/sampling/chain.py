"""The chain of samplers that resolved settings ask for.

Order of work for every token:
1. suppressed tokens (the model's own list; end tokens with ignore_eos)
2. the stages of `sampler_order`, by default llama.cpp's:
   logit_bias, penalties, dry, top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature
3. the draw: by probability, by mirostat or adaptive-p, or the most probable at temperature 0

Stages whose setting is neutral are left out, and at temperature 0 also those at the end that
cannot change the argmax: the result is the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import candidates, left_of, selected
from llmparams_cli.backends.llama.sampling.penalties import Penalties, PenaltyStage
from llmparams_cli.backends.llama.sampling.shortcut import Edit, Shortcut, add, divide
from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.table import PARAMS

MIROSTAT_M = 100  # tokens over which mirostat 1 estimates s_hat, as in its paper
MIN_KEEP = 1  # truncating stages leave this many, whatever their setting
HISTORY_STAGES = ("penalties", "dry")  # those that look at earlier tokens
GRAMMAR = "grammar"  # a stage before those of a chain, as are thoughts that have to end
CLOSING = "max_thinking_tokens"  # which writes the closing mark
Step = tuple[str, Any]  # a stage's name, and the candidates that it left (a numpy table)
MIROSTAT_STAGES = ("logit_bias", "penalties", "dry", "temperature")


class Chain:
    """Draws tokens from logits by one set of settings. Owns its llama_sampler chain. Close it.

    The stages with a memory start out with the `prompt`, if penalize_prompt says so.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings,
        seed: int,
        context_size: int,
        prompt: Sequence[int] = (),
    ) -> None:
        self.stages: list[str] = []
        self._model = model
        self._seed = seed
        self._context_size = context_size
        self._shortcut: Shortcut | None = None
        self._keep: list[Any] = []  # our own stages: C has pointers into them
        self._history: list[Any] = []  # handles of HISTORY_STAGES, which the chain owns
        params = llama().llama_sampler_chain_default_params()
        params.no_perf = True
        self.handle = llama().llama_sampler_chain_init(params)
        try:
            self._build(self._builder(settings), settings)
        except BaseException:
            self.close()
            raise
        if settings["penalize_prompt"]:
            self.show_prompt(prompt)

    def sample(self, context: Context, row: int) -> int:
        """Draw a token from output `row` of the last batch, and accept it."""
        drawn = self._draw_shortly(context.logits(row)) if self._shortcut else None
        if drawn is None:  # the library does it all, and saves copying the logits
            return int(llama().llama_sampler_sample(self.handle, context.handle, row))
        self.accept(drawn[0])
        return drawn[0]

    def draw_from(self, logits: Any) -> tuple[int, Any]:
        """Draw from all tokens (`logits` points to theirs): the token, and the candidates that the
        stages left. Nothing is accepted.
        """
        drawn = self._draw_shortly(logits)
        if drawn is None:
            array = candidates(logits, self._model.n_vocab)
            drawn = self.draw(array), array
        return drawn

    def draw(self, array: Any) -> int:
        """Draw from these candidates, of which the stages leave some; nothing is accepted."""
        llama().llama_sampler_apply(self.handle, ctypes.byref(array))
        return selected(array)

    def walk(self, array: Any) -> tuple[list[Step], int]:
        """The same, stage by stage: what each leaves of the candidates, and the token."""
        steps = []
        for place, name in enumerate(self.stages):
            self._apply(place, array)
            steps.append((name, left_of(array).copy()))
        token = selected(array)
        name, left = steps[-1]
        if name == "greedy":  # it marks its choice and removes nothing
            steps[-1] = (name, left[left["id"] == token])
        return steps, token

    def accept(self, token: int) -> None:
        """Tell the stages with a memory which token was drawn."""
        llama().llama_sampler_accept(self.handle, token)

    @property
    def is_sure(self) -> bool:
        """Does it always take the most probable token? Its last stage then only marks that one."""
        return self.stages[-1] == "greedy"

    def renew_draw(self, settings: Settings) -> None:
        """Replace the stage that draws by a new one with these settings, which has drawn nothing
        yet.
        """
        last = len(self.stages) - 1
        # What is removed from the chain belongs to the caller.
        llama().llama_sampler_free(llama().llama_sampler_chain_remove(self.handle, last))
        self.stages.pop()
        self._add(*self._builder(settings).draw())

    @property
    def penalties(self) -> PenaltyStage | None:
        """The stage of the penalties, if they are on."""
        return next((stage for stage in self._keep if isinstance(stage, PenaltyStage)), None)

    def show_prompt(self, tokens: Sequence[int]) -> None:
        """Make the stages with a memory (penalties, DRY) count the prompt, too."""
        for stage in self._history:
            for token in tokens:
                llama().llama_sampler_accept(stage, token)

    def close(self) -> None:
        llama().llama_sampler_free(self.handle)

    def _draw_shortly(self, logits: Any) -> tuple[int, Any] | None:
        """As `draw_from`, if there is a way around a table of all tokens."""
        short = self._shortcut
        array = short and short.take(logits)
        if short is None or array is None:
            return None
        for place in range(short.length, len(self.stages)):
            self._apply(place, array)
        return selected(array), array

    def _apply(self, place: int, array: Any) -> None:
        """Let one stage work on these candidates."""
        lib = llama()
        stage = lib.llama_sampler_chain_get(self.handle, place)
        lib.llama_sampler_apply(stage, ctypes.byref(array))

    def _build(self, make: _Builder, settings: Settings) -> None:
        self._add("suppress", make.suppress())
        stages = [(name, getattr(make, name)()) for name in active_stages(settings)]
        stages = [(name, stage) for name, stage in stages if stage is not None]
        if settings["temperature"] == 0:
            while stages and not can_change_argmax(stages[-1][0]):
                # Not in the chain yet, so nobody else frees it.
                llama().llama_sampler_free(stages.pop()[1])
        for name, stage in stages:
            self._add(name, stage)
        self._add(*make.draw())
        self._shortcut = Shortcut.of(self.stages, make.edits, settings, self._model.n_vocab)

    def _builder(self, settings: Settings) -> _Builder:
        return _Builder(self._model, settings, self._seed, self._context_size, self._keep)

    def _add(self, name: str, stage: Any) -> None:
        if stage is None:
            return
        self.stages.append(name)
        llama().llama_sampler_chain_add(self.handle, stage)
        if name in HISTORY_STAGES:
            self._history.append(stage)


def active_stages(settings: Settings) -> list[str]:
    """The stages of `sampler_order` that no other setting makes pointless."""
    order: list[str] = settings["sampler_order"]
    if settings["temperature"] == 0 and "temperature" in order:
        return order[: order.index("temperature")]  # at 0 it leaves one token
    if settings["mirostat"] and settings["temperature"] > 0:  # it does the truncation itself
        return [stage for stage in order if stage in MIROSTAT_STAGES]
    return order


def can_change_argmax(stage: str) -> bool:
    """Does any parameter of `stage` change which token is the most probable one?"""
    return any(param.changes_argmax for param in PARAMS.values() if param.stage == stage)


class _Builder:
    """One method per stage, named as in `sampler_order`; None when it would do nothing."""

    def __init__(
        self, model: Model, settings: Settings, seed: int, context_size: int, keep: list[Any]
    ) -> None:
        self._model = model
        self._set = settings
        self._seed = seed
        self._context_size = context_size
        self._keep = keep
        self._lib = llama()
        self.edits: dict[str, Edit] = {}  # by stage: the same for a row of logits

    def suppress(self) -> Any:
        tokens = list(self._model.suppressed_tokens)
        if self._set["ignore_eos"]:
            tokens += self._model.end_tokens
        return self._biases("suppress", {token: -float("inf") for token in tokens})

    def logit_bias(self) -> Any:
        biases: dict[int, float] = {}
        for key, bias in self._set["logit_bias"].items():
            for token in self._tokens_of(key):
                biases[token] = bias
        return self._biases("logit_bias", biases)

    def penalties(self) -> Any:
        penalties = Penalties(
            self._set["repeat_penalty"],
            self._set["frequency_penalty"],
            self._set["presence_penalty"],
            self._set["repeat_penalty_growth"] == "exponential",
        )
        window = self._window("repeat_last_n")
        if not penalties or window == 0:
            return None
        # Kept alive for the chain, which knows the handle only.
        stage = PenaltyStage(penalties, window)
        self._keep.append(stage)
        self.edits["penalties"] = stage.edit
        return stage.handle

    def dry(self) -> Any:
        window = self._window("dry_last_n")
        if self._set["dry_multiplier"] == 0 or window == 0:
            return None
        breakers = [text.encode() for text in self._set["dry_sequence_breakers"]]
        return self._lib.llama_sampler_init_dry(
            self._model.vocab,
            self._set["dry_multiplier"],
            self._set["dry_base"],
            self._set["dry_allowed_length"],
            window,
            (ctypes.c_char_p * len(breakers))(*breakers),
            len(breakers),
        )

    def top_n_sigma(self) -> Any:
        return self._unless_neutral("top_n_sigma", self._lib.llama_sampler_init_top_n_sigma)

    def top_k(self) -> Any:
        return self._unless_neutral("top_k", self._lib.llama_sampler_init_top_k)

    def typical_p(self) -> Any:
        return self._unless_neutral("typical_p", self._lib.llama_sampler_init_typical, MIN_KEEP)

    def top_p(self) -> Any:
        return self._unless_neutral("top_p", self._lib.llama_sampler_init_top_p, MIN_KEEP)

    def min_p(self) -> Any:
        return self._unless_neutral("min_p", self._lib.llama_sampler_init_min_p, MIN_KEEP)

    def xtc(self) -> Any:
        return self._unless_neutral(
            "xtc_probability",
            self._lib.llama_sampler_init_xtc,
            self._set["xtc_threshold"],
            MIN_KEEP,
            self._seed,
        )

    def temperature(self) -> Any:
        if self._set["dynatemp_range"] > 0:
            return self._lib.llama_sampler_init_temp_ext(
                self._set["temperature"],
                self._set["dynatemp_range"],
                self._set["dynatemp_exponent"],
            )
        self.edits["temperature"] = divide(self._set["temperature"])
        return self._unless_neutral("temperature", self._lib.llama_sampler_init_temp)

    def draw(self) -> tuple[str, Any]:
        """The stage that picks the token."""
        lib, seed = self._lib, self._seed
        if self._set["temperature"] == 0:
            return "greedy", lib.llama_sampler_init_greedy()
        tau, eta = self._set["mirostat_tau"], self._set["mirostat_eta"]
        if self._set["mirostat"] == 1:
            vocabulary = self._model.n_vocab
            return "mirostat", lib.llama_sampler_init_mirostat(
                vocabulary, seed, tau, eta, MIROSTAT_M
            )
        if self._set["mirostat"] == 2:
            return "mirostat_v2", lib.llama_sampler_init_mirostat_v2(seed, tau, eta)
        if self._set["adaptive_p_target"] >= 0:
            return "adaptive_p", lib.llama_sampler_init_adaptive_p(
                self._set["adaptive_p_target"], self._set["adaptive_p_decay"], seed
            )
        return "dist", lib.llama_sampler_init_dist(seed)

    def _unless_neutral(self, name: str, init: Callable[..., Any], *more: Any) -> Any:
        value = self._set[name]
        return None if value == PARAMS[name].neutral else init(value, *more)

    def _window(self, name: str) -> int:
        """A number of tokens; -1 means the whole context (llama.cpp would take it for 0).

        Never more than the context: DRY allocates all of its window at once.
        """
        size = int(self._set[name])
        return self._context_size if size < 0 else min(size, self._context_size)

    def _tokens_of(self, key: str) -> list[int]:
        """The key of a bias is a token id, the name of a control token, or a text that stands for
        all of its tokens.
        """
        if not key.isdecimal():
            named = self._model.tokenize(key, special=True, goes_on=True)
            return named if len(named) == 1 else self._model.tokenize(key, goes_on=True)
        if int(key) >= self._model.n_vocab:
            raise UsageError(
                f"logit_bias ({self._set.setting('logit_bias').origin}): "
                f"token {key} does not exist",
                f"the vocabulary ends at {self._model.n_vocab - 1}",
            )
        return [int(key)]

    def _biases(self, name: str, biases: dict[int, float]) -> Any:
        if not biases:
            return None
        self.edits[name] = add(biases)
        array = (self._lib.llama_logit_bias * len(biases))(*biases.items())
        return self._lib.llama_sampler_init_logit_bias(self._model.n_vocab, len(biases), array)
