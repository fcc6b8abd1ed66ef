"""Settings that have no effect beside others, and settings that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import combinations

from llmparams_cli.errors import UsageError
from llmparams_cli.params.settings import Assignment, Setting, Settings, Source, resolve
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.params.table import PARAMS

PENALTIES = ("repeat_penalty", "frequency_penalty", "presence_penalty")
UNQUANTISED = ("f32", "f16", "bf16")
FORMS = ("grammar", "json_schema", "regex", "choices")  # what rules the form of the output


def form(settings: Settings) -> str:
    """The parameter of FORMS that is set; empty if none is."""
    return next((name for name in FORMS if _is_set(name, settings)), "")


def inert(settings: Settings, followed: Collection[str] = PARAMS) -> list[str]:
    """One sentence for each value that the user set and that has no effect.

    Values that switch a parameter off are not mentioned, nor are those of the table and
    the model file. `followed` are the parameters that the backend supports: the others have
    no effect, neither on the answer nor on other parameters.
    """
    return [sentence for _, sentence in remarks(settings, followed)]


def remarks(
    settings: Settings,
    followed: Collection[str] = PARAMS,
    of: Callable[[Setting], bool] | None = None,
) -> list[tuple[Setting, str]]:
    """The values without effect, as in `inert`, each with its sentence; or those for which `of` is
    true, whoever set them. A value for thoughts and answer has none only if it has none in either.
    """
    wanted = list(filter(of or _is_wanted, settings.both))
    in_answer, in_thoughts = (_effective(each, followed) for each in (settings, settings.thinking))
    alone = {setting.param.name for setting in settings.only_thinking}
    found = []
    for setting in wanted:
        name, reason = setting.param.name, ""
        if name not in followed:
            reason = "this backend does not follow it"
        elif setting.when_thinking:
            reason = _why_inert(setting.param, in_thoughts)
            if settings["max_thinking_tokens"] == 0:
                reason = "max_thinking_tokens is 0: nothing is thought"
        elif name in alone or is_inert(setting.param, in_thoughts):
            reason = _why_inert(setting.param, in_answer)
        if reason:
            found.append((setting, f"{_written(setting)} has no effect: {reason}"))
    return found


def _effective(settings: Settings, followed: Collection[str]) -> Settings:
    """The settings as a backend has them that follows only these parameters."""
    given = (Assignment(s.param.name, s.value, s.origin) for s in settings)
    return resolve(each for each in given if each.name in followed)


def is_inert(param: Param, settings: Settings) -> bool:
    """Is this parameter without effect, given the others' values?"""
    return bool(_why_inert(param, settings))


def is_switched_off(param: Param, settings: Settings) -> bool:
    """Is this a detail of something that is off, such as DRY's base with a multiplier of 0?"""
    rules = (rule for rule in RULES if rule.is_switch and param.name in rule.names)
    return any(rule.applies(param, settings) for rule in rules)


def refuse_contradictions(settings: Settings) -> None:
    """Raise UsageError if two settings contradict each other."""
    for first, second, contradict, cure in CONTRADICTIONS:
        if contradict(settings):
            one, other = settings.setting(first), settings.setting(second)
            weaker = min(other, one, key=lambda setting: LAYERS.index(setting.origin.source))
            raise UsageError(
                f"{_written(one)} excludes {_written(other)}",
                cure.format(weaker=weaker.param.flag),
            )


def changed(settings: Settings, values: Iterable[Assignment]) -> Settings:
    """These settings with `values` on top; raises UsageError if they contradict each other."""
    for value in values:
        settings = settings.but(value)
    refuse_contradictions(settings)
    return settings


def _is_wanted(setting: Setting) -> bool:
    by_somebody = setting.origin.source not in (Source.DEFAULT, Source.MODEL)
    return by_somebody and setting.value != setting.param.neutral


def _written(setting: Setting) -> str:
    """'top_k 40 (flag --top-k)'; long values, such as a grammar, are left out."""
    shown = setting.param.kind.show(setting.value)
    value = f" {shown}" if len(shown) <= 40 and "\n" not in shown else ""
    return f"{setting.name}{value} ({setting.origin})"


def _why_inert(param: Param, settings: Settings) -> str:
    rules = (rule for rule in RULES if param.name in rule.names and rule.applies(param, settings))
    return next((rule.reason.format_map(settings) for rule in rules), "")


@dataclass(frozen=True)
class Rule:
    """The parameters `names` have no effect where `applies` is true.

    `{name}` in `reason` is filled in with that parameter's value. `is_switch`: the parameters
    are details of something that is off.
    """

    names: tuple[str, ...]
    applies: Callable[[Param, Settings], bool]
    reason: str
    is_switch: bool = False


def _named(wanted: Callable[[Param], bool]) -> tuple[str, ...]:
    return tuple(param.name for param in PARAMS.values() if wanted(param))


def _staged(stage: str) -> tuple[str, ...]:
    return _named(lambda param: param.stage == stage)


def _is_set(name: str, settings: Settings) -> bool:
    return bool(settings[name] != PARAMS[name].default)


def _greedy(settings: Settings) -> bool:
    return bool(settings["temperature"] == 0)


def _mirostat(settings: Settings) -> bool:
    return bool(settings["mirostat"]) and not _greedy(settings)


def _penalties_off(settings: Settings) -> bool:
    return all(settings[name] == PARAMS[name].neutral for name in PENALTIES)


# The stages that can change which token is the most probable one, and when each is on. Typical
# sampling and XTC belong here, unlike the other truncations: they may remove the best token.
SWITCHED_ON: dict[str, Callable[[Settings], bool]] = {
    "logit_bias": lambda s: s["logit_bias"] != {},
    "penalties": lambda s: s["repeat_last_n"] != 0 and not _penalties_off(s),
    "dry": lambda s: s["dry_multiplier"] > 0 and s["dry_last_n"] != 0,
    "typical_p": lambda s: s["typical_p"] < 1,
    "xtc": lambda s: s["xtc_probability"] > 0 and s["xtc_threshold"] <= 0.5,
}


def _runs(stage: str, settings: Settings) -> bool:
    return stage in settings["sampler_order"] and SWITCHED_ON[stage](settings)


def _later_stages(stage: str, settings: Settings) -> list[str]:
    order: list[str] = settings["sampler_order"]
    return order[order.index(stage) + 1 :] if stage in order else []


def _truncates_in_vain(param: Param, settings: Settings) -> bool:
    """At temperature 0, truncation matters only if a later stage can change the best token."""
    later = _later_stages(param.stage, settings)
    return _greedy(settings) and not any(_runs(s, settings) for s in later if s in SWITCHED_ON)


def _left_out(param: Param, settings: Settings) -> bool:
    if param.name == "temperature" and _greedy(settings):
        return False  # the most probable token is taken whether the stage is named or not
    return param.stage not in settings["sampler_order"]


def _after_top_k_1(param: Param, settings: Settings) -> bool:
    alone = settings["top_k"] == 1 and not _mirostat(settings)
    return alone and param.stage in _later_stages("top_k", settings)


# penalize_prompt serves two stages, the penalties and DRY, and so has a rule of its own.
STAGED = _named(lambda p: bool(p.stage) and p.name != "penalize_prompt")
TRUNCATION = ("top_n_sigma", "top_k", "top_p", "min_p")
MIROSTAT = ("mirostat_tau", "mirostat_eta")
ADAPTIVE = ("adaptive_p_target", "adaptive_p_decay")
DYNATEMP = ("dynatemp_range", "dynatemp_exponent")
REPLACED_BY_MIROSTAT = (
    *TRUNCATION,
    "typical_p",
    "xtc_probability",
    "xtc_threshold",
    *ADAPTIVE,
)
# What shapes the draw of a token, and not that of a whole choice.
NOT_FOR_CHOICES = (
    *_named(lambda p: p.scope is Scope.SAMPLING and p.name not in ("temperature", "seed", *FORMS)),
    "ignore_eos",
)

# The first rule that applies is the one reported, so broad causes come before narrow ones.
RULES = (
    Rule(
        NOT_FOR_CHOICES,
        lambda p, s: s["choices"] != [],
        "of choices one is drawn by probability and temperature alone (thoughts before are not)",
    ),
    Rule(
        ("mirostat", *MIROSTAT, *ADAPTIVE, *DYNATEMP),
        lambda p, s: _greedy(s),
        "temperature 0 always takes the most probable token",
    ),
    Rule(TRUNCATION, _truncates_in_vain, "temperature 0 always takes the most probable token"),
    Rule(
        ("seed",),
        lambda p, s: _greedy(s) and not _runs("xtc", s),
        "nothing is drawn at random at temperature 0",
    ),
    Rule(
        REPLACED_BY_MIROSTAT,
        lambda p, s: _mirostat(s),
        "mirostat {mirostat} does the truncation and the draw itself",
    ),
    Rule(STAGED, _left_out, "sampler_order leaves its stage out"),
    Rule(STAGED, _after_top_k_1, "top_k 1 leaves a single token"),
    Rule(MIROSTAT, lambda p, s: s["mirostat"] == 0, "mirostat is 0, off", is_switch=True),
    Rule(
        ("adaptive_p_decay",),
        lambda p, s: s["adaptive_p_target"] < 0,
        "adaptive_p_target is -1, off",
        is_switch=True,
    ),
    Rule(
        ("dynatemp_exponent",),
        lambda p, s: s["dynatemp_range"] == 0,
        "dynatemp_range is 0, off",
        is_switch=True,
    ),
    Rule(
        ("xtc_threshold",),
        lambda p, s: s["xtc_probability"] == 0,
        "xtc_probability is 0, off",
        is_switch=True,
    ),
    Rule(
        ("xtc_probability",),
        lambda p, s: s["xtc_threshold"] > 0.5,
        "two tokens can never both reach xtc_threshold, which is above 0.5",
    ),
    Rule(
        _staged("dry"),
        lambda p, s: s["dry_multiplier"] == 0,
        "dry_multiplier is 0, off",
        is_switch=True,
    ),
    Rule(_staged("dry"), lambda p, s: s["dry_last_n"] == 0, "dry_last_n is 0: no token counts"),
    Rule(
        ("repeat_penalty_growth",),
        lambda p, s: s["repeat_penalty"] == 1,
        "repeat_penalty is 1, off",
        is_switch=True,
    ),
    Rule(
        ("repeat_last_n",),
        lambda p, s: _penalties_off(s),
        "the repetition, frequency and presence penalties are off",
        is_switch=True,
    ),
    Rule(
        (*PENALTIES, "repeat_penalty_growth"),
        lambda p, s: s["repeat_last_n"] == 0,
        "repeat_last_n is 0: no token counts",
    ),
    Rule(
        ("penalize_prompt",),
        lambda p, s: not _runs("penalties", s) and not _runs("dry", s),
        "neither the penalties nor DRY are on",
        is_switch=True,
    ),
    Rule(
        ("ubatch_size",),
        lambda p, s: s["ubatch_size"] > s["batch_size"],
        "batch_size {batch_size} is smaller and limits it",
    ),
    Rule(
        ("draft_max",),
        lambda p, s: s["draft_model"] == "",
        "there is no draft_model",
        is_switch=True,
    ),
    Rule(
        ("split_mode", "tensor_split"),
        lambda p, s: s["gpu_layers"] == 0,
        "gpu_layers 0 puts no layer on a GPU",
    ),
    Rule(
        ("main_gpu",),
        lambda p, s: s["split_mode"] != "none",
        "split_mode {split_mode} uses all GPUs",
    ),
    Rule(("tensor_split",), lambda p, s: s["split_mode"] == "none", "split_mode none uses one GPU"),
)

LAYERS = tuple(Source)  # from the lowest to the highest
# (first, second, whether they contradict each other, the cure: `weaker` is the flag of the one that
# the lower layer gave)
CONTRADICTIONS: tuple[tuple[str, str, Callable[[Settings], bool], str], ...] = (
    *(
        (
            one,
            other,
            lambda s, one=one, other=other: _is_set(one, s) and _is_set(other, s),
            "both rule the form of the output; take one back, as in {weaker} none",
        )
        for one, other in combinations(FORMS, 2)
    ),
    (
        "flash_attention",
        "cache_type_v",
        lambda s: s["flash_attention"] == "off" and s["cache_type_v"] not in UNQUANTISED,
        "a quantised cache_type_v needs flash attention; use --flash-attention auto",
    ),
    (
        "flash_attention",
        "split_mode",
        lambda s: s["flash_attention"] == "off" and s["split_mode"] == "tensor",
        "split_mode tensor needs flash attention; use --flash-attention auto",
    ),
    *(
        (
            "deterministic",
            guess,
            lambda s, guess=guess: s["deterministic"] and s[guess] != PARAMS[guess].neutral,
            "tokens that are checked together are rounded otherwise; take one back",
        )
        for guess in ("prompt_lookup", "draft_model")
    ),
)
