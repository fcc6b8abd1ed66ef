"""The order of sampler stages in other programs."""

from __future__ import annotations

from collections.abc import Iterable

from llmparams_cli.params.table import SAMPLER_STAGES
from llmparams_cli.presets.metadata import STAGE_NAMES

# transformers: penalties are logits processors, the rest are warpers, which run after them.
HF = ("logit_bias", "penalties", "temperature", "top_k", "top_p", "min_p", "typical_p")
VLLM = ("logit_bias", "penalties", "temperature", "min_p", "top_k", "top_p")
WEBUI = (
    "logit_bias",
    "penalties",
    "dry",
    "top_n_sigma",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "min_p",
    "xtc",
)

# KoboldCpp's numbers for its stages; 1 and 3 are top-a and tail-free sampling. Some of its
# stages do more than one thing, DRY is always first, and XTC last.
KOBOLD = {
    0: ("top_k",),
    2: ("top_p", "min_p"),
    4: ("typical_p",),
    5: ("temperature", "top_n_sigma"),
    6: ("penalties",),
}

EARLY = ("logit_bias", "penalties", "dry")  # they need no probabilities, and come first

# Other programs' names for this program's stages, llama.cpp's included.
OTHER_NAMES = {
    **STAGE_NAMES,
    "repetition_penalty": "penalties",
    "presence_penalty": "penalties",
    "frequency_penalty": "penalties",
    "dynamic_temperature": "temperature",
    "top_nsigma": "top_n_sigma",
}


def known(names: Iterable[str]) -> list[str]:
    """The known stages among `names`, under this program's names and without repetitions."""
    cleaned = (name.strip().lower().replace("-", "_") for name in names)
    stages = (OTHER_NAMES.get(name, name) for name in cleaned)
    return list(dict.fromkeys(stage for stage in stages if stage in SAMPLER_STAGES))


def complete(stages: Iterable[str]) -> list[str]:
    """Add the missing stages: those of `EARLY` near the start, the others at the end."""
    named = list(stages)
    head = [stage for stage in named if stage in EARLY]
    if named[: len(head)] != head:
        head = []
    missing = [stage for stage in SAMPLER_STAGES if stage not in named]
    first = [stage for stage in missing if stage == "logit_bias"]
    early = [stage for stage in missing if stage in EARLY and stage not in first]
    late = [stage for stage in missing if stage not in EARLY]
    return [*first, *head, *early, *named[len(head) :], *late]


def kobold(numbers: Iterable[float]) -> list[str]:
    """The stages that KoboldCpp runs; those that it is not told come before XTC."""
    named = [stage for number in numbers for stage in KOBOLD.get(int(number), ())]
    stages = dict.fromkeys(["logit_bias", "dry", *named])
    missing = [stage for stage in SAMPLER_STAGES if stage not in stages and stage != "xtc"]
    return [*stages, *missing, "xtc"]


def same(one: Iterable[str], other: Iterable[str]) -> bool:
    """Are the stages that both have in the same order?"""
    first, second = list(one), list(other)
    shared = [stage for stage in first if stage in second]
    return shared == [stage for stage in second if stage in first]


def temperature_last(stages: Iterable[str]) -> list[str]:
    """The same stages with the temperature at the end."""
    return [*(stage for stage in stages if stage != "temperature"), "temperature"]
