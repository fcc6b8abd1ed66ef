"""The settings that a model's author recommends, from the GGUF's `general.sampling.*` keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmparams_cli.params.kinds import Words
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.spec import Param
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.text.shorten import brief

PREFIX = "general.sampling."

# llama.cpp's other names for stages, and its letters for them (common/sampling.cpp).
STAGE_NAMES = {"typ_p": "typical_p", "typ": "typical_p", "nucleus": "top_p", "temp": "temperature"}
STAGE_LETTERS = {
    "e": "penalties",
    "d": "dry",
    "s": "top_n_sigma",
    "k": "top_k",
    "y": "typical_p",
    "p": "top_p",
    "m": "min_p",
    "x": "xtc",
    "t": "temperature",
}


def from_gguf(metadata: Mapping[str, object]) -> tuple[list[Assignment], list[str]]:
    """The model's own layer, and notes on the keys that cannot be used.

    Values may have their types in the file, or be texts as llama.cpp's API returns them.
    """
    params = {param.gguf_key: param for param in PARAMS.values() if param.gguf_key}
    assignments, notes = [], []
    for key, value in metadata.items():
        if not key.startswith(PREFIX):
            continue
        try:
            if key not in params:
                raise ValueError("not known here")
            checked = _checked(params[key], value)
        except ValueError as error:
            notes.append(f"the model's {key} is ignored: {brief(str(error))}")
        else:
            assignments.append(Assignment(params[key].name, checked, Origin(Source.MODEL, key)))
    return assignments, notes


def _checked(param: Param, value: object) -> Any:
    if isinstance(param.kind, Words):
        return param.kind.check(_stages(str(value)))
    if isinstance(value, float):
        value = float(f"{value:.7g}")  # stored in 32 bits: 0.949999988079071 was 0.95
    return param.kind.parse(value) if isinstance(value, str) else param.kind.check(value)


def _stages(sequence: str) -> list[str]:
    """Read 'top_k;top-p;temp' or letters such as 'kpt'.

    llama.cpp always applies logit biases first and has no name for that stage.
    """
    names = [_stage(name) for name in sequence.lower().split(";") if name.strip()]
    if not names:
        raise ValueError("no stage is named")
    # Names were tried first: "temp" would pass as four letters too.
    if len(names) == 1 and set(names[0]) <= set(STAGE_LETTERS):
        names = [STAGE_LETTERS[letter] for letter in names[0]]
    return list(dict.fromkeys(["logit_bias", *names]))


def _stage(name: str) -> str:
    name = name.strip().replace("-", "_")
    # "topk" and "typicalp" are names as well.
    squeezed = {stage.replace("_", ""): stage for stage in (*SAMPLER_STAGES, *STAGE_NAMES)}
    name = squeezed.get(name, name)
    return STAGE_NAMES.get(name, name)
