"""An export in progress: writes values, and reports whatever does not fit."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from llmparams_cli.formats import order
from llmparams_cli.formats.common import (
    PENALTIES,
    REPETITION,
    SHAPING,
    Exported,
    Loss,
    does_nothing,
    is_sampler,
)
from llmparams_cli.params.kinds import Kind
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.text.shorten import brief


class Export:
    """The values that are `left` to write, the `fields` written so far, and the losses."""

    def __init__(self, preset: Exported, program: str, skips_stages: bool = False) -> None:
        """`skips_stages`: can the program leave out a sampler stage, as this one can?"""
        self.preset = preset
        self.program = program
        self.fields: dict[str, Any] = {}
        self.losses: list[Loss] = []
        self.left = {name: preset.parameters[name] for name in PARAMS if name in preset.parameters}
        self.chosen = dict(self.left)
        stages = self.left.get("sampler_order", SAMPLER_STAGES)
        if self.left.get("logit_bias") and "logit_bias" not in stages:
            del self.left["logit_bias"]
            self.report("changed", "logit_bias", "not in sampler_order, so it is off")
        if not skips_stages:
            self._leave_out_all_but(stages)

    def report(self, kind: str, what: str, reason: str) -> None:
        self.losses.append(Loss(kind, brief(what), brief(reason)))

    def lose(self, what: str, reason: str) -> None:
        self.report("lost", what, reason)

    def put(self, keys: Mapping[str, str]) -> None:
        """Write the parameters in `keys` (name here → name there)."""
        for name, key in keys.items():
            if name in self.left:
                self.fields[key] = self.left.pop(name)

    def limit(self, limits: Mapping[str, Kind]) -> None:
        """Drop the values that the other program would refuse."""
        for name, kind in limits.items():
            try:
                if name in self.left:
                    kind.check(self.left[name])
            except ValueError as error:
                del self.left[name]
                self.lose(name, f"in {self.program}, {error}")

    def finish(self) -> None:
        """Report what is left as lost, unless it has no effect."""
        for name, value in self.left.items():
            if not does_nothing(name, value):
                self.lose(name, f"{self.program} has no such parameter")

    def no_place_for(self, *attributes: str) -> None:
        for attribute in attributes:
            if getattr(self.preset, attribute):
                self.lose(attribute, f"a preset of {self.program} has no place for it")

    def counting(self, known: Container[str], prompt: bool, window: bool) -> None:
        """Report differences in what the `known` penalties of the other program count.

        Do they count the `prompt`? Do they look at a `window`, rather than at all tokens?
        """
        growth = self.left.pop("repeat_penalty_growth", "once")
        counts = self.left.pop("penalize_prompt", False)
        active = [name for name in REPETITION if name in known and self.is_active(name)]
        if growth != "once" and "repeat_penalty" in active:
            reason = f"{self.program} applies the penalty once, however often a token occurred"
            self.report("changed", "repeat_penalty_growth", reason)
        if counts != prompt and active:
            reason = "the prompt too" if prompt else "the output only"
            self.report("changed", "penalize_prompt", f"{self.program} counts {reason}")
        if not window:
            size = self.left.pop("repeat_last_n", PARAMS["repeat_last_n"].default)
            if size != -1 and any(name in PENALTIES for name in active):
                reason = f"{self.program} has no window and counts everything"
                self.report("changed", "repeat_last_n", reason)

    def is_active(self, name: str) -> bool:
        """Does the preset set a value that has an effect?"""
        return not does_nothing(name, self.chosen.get(name, PARAMS[name].neutral))

    def fixed_order(self, stages: Iterable[str]) -> None:
        """For programs with a fixed order of stages; stages that they lack do not matter."""
        theirs = list(stages)
        if not order.same(self.left.pop("sampler_order", SAMPLER_STAGES), theirs):
            self.report("reordered", "sampler_order", f"{self.program} has {','.join(theirs)}")

    def no_order(self) -> None:
        """For programs whose presets cannot set the order of stages."""
        if not order.same(self.left.pop("sampler_order", SAMPLER_STAGES), SAMPLER_STAGES):
            reason = f"presets of {self.program} cannot choose it"
            self.report("reordered", "sampler_order", reason)

    def own_values(self, *names: str) -> None:
        """Report those that the preset does not set: the other program has its own defaults."""
        missing = [name for name in names if name not in self.chosen]
        if missing:
            reason = f"the preset does not choose them, so {self.program} has its own values"
            self.report("filled", ", ".join(missing), reason)

    def _leave_out_all_but(self, stages: Sequence[str]) -> None:
        for name, param in PARAMS.items():
            if not param.stage or param.stage in stages or not is_sampler(name):
                continue
            if name in SHAPING or self.left.get(name, param.neutral) != param.neutral:
                self.left[name] = self.chosen[name] = param.neutral
                self.report("changed", name, f"{param.stage} is not in sampler_order, so it is off")
