"""text-generation-webui: a flat YAML file with the values that are not neutral."""

from __future__ import annotations

import json
from typing import Any

from llmparams_cli.formats import order, thinking
from llmparams_cli.formats.common import PENALTIES, Entries, Exported, Format, Imported, Loss, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import yaml_entries
from llmparams_cli.formats.yaml_text import dump
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets.nodes import Node

PROGRAM = "text-generation-webui"
SAME = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dynatemp_exponent",
    "mirostat_tau",
    "mirostat_eta",
    "frequency_penalty",
    "presence_penalty",
)
KEYS = {
    **{name: name for name in SAME},
    "mirostat": "mirostat_mode",
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "repetition_penalty_range",
    "adaptive_p_target": "adaptive_target",
    "adaptive_p_decay": "adaptive_decay",
}
# Not in its presets, but in its settings file, which has the same form.
SETTINGS = {
    "max_tokens": "max_new_tokens",
    "seed": "seed",
    "context": "truncation_length",
    "ignore_eos": "ban_eos_token",
}
THINKING = ("enable_thinking", thinking.EFFORT)  # of the settings file too
STOPS = "custom_stopping_strings"  # of the settings file too
DEFAULT_RANGE = 1024  # tokens: the window of penalties if the key is missing
INERT: dict[str, tuple[Any, ...]] = {
    "smoothing_factor": (0,),
    "smoothing_curve": (1,),
    "tfs": (1,),
    "top_a": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "guidance_scale": (1,),
    "negative_prompt": ("",),
    "penalty_alpha": (0,),
    "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "length_penalty": (1,),
    "early_stopping": (False,),
    "min_length": (0,),
    "auto_max_new_tokens": (False,),
    "add_bos_token": (True,),
    "skip_special_tokens": (True,),
    "custom_token_bans": ("",),
    "rep_pen_size": (0,),
    "min_keep": (0,),
}
DYNAMIC = ("dynatemp_low", "dynatemp_high", "dynamic_temperature")


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = yaml_entries(text, place)
    draft = Draft(place, PROGRAM)
    stages = priority(draft, entries)
    is_last = draft.flag("temperature_last", entries.pop("temperature_last", None))
    for key in ("top_n_sigma", "adaptive_target"):
        _switched_off(draft, entries, key)
    whole_context(draft, entries, "repetition_penalty_range")
    breakers(draft, entries)
    if stops := listed(draft, STOPS, entries.pop(STOPS, None)):
        draft.take("stop", STOPS, stops)
    do_sample = draft.flag("do_sample", entries.pop("do_sample", None))
    low, high = (entries.pop(key, None) for key in DYNAMIC[:2])
    is_dynamic = draft.flag(DYNAMIC[2], entries.pop(DYNAMIC[2], None))
    draft.take_all(entries, KEYS | SETTINGS)
    thinking.take_all(draft, entries, *THINKING)
    if is_dynamic and (ends := [node for node in (low, high) if node]):
        numbers = [draft.number("dynatemp", node) if node else 1 for node in (low, high)]
        draft.dynamic_temperature(numbers[0], numbers[1], ends[0])
    if do_sample is False:
        draft.values["temperature"] = 0.0
        draft.report("changed", "temperature 0", "do_sample is false")
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.fill_neutral([*KEYS, "dynatemp_range"])
    default_window(draft, DEFAULT_RANGE)
    if draft.penalises("dry_multiplier"):  # DRY has no window of its own
        size = draft.values.get("repeat_last_n", DEFAULT_RANGE)
        draft.fill({"dry_last_n": size}, "its window is repetition_penalty_range there")
    stages = stages or list(order.WEBUI)
    stages = order.temperature_last(stages) if is_last else stages
    draft.sampler_order(order.complete(stages), "the order that the file means there")
    return [draft.finish(stem(place))]


def priority(draft: Draft, entries: Entries, key: str = "sampler_priority") -> list[str]:
    """The stages listed, one per line or in a list; those not listed run too."""
    node = entries.pop(key, None)
    if node is None or node.value is None:
        return []
    if isinstance(node.value, str):
        return order.known(node.value.replace(",", "\n").splitlines())
    return order.known(draft.text(key, item) or "" for item in draft.items(key, node))


def _switched_off(draft: Draft, entries: Entries, key: str) -> None:
    """Translate 0, which means off there, to -1."""
    if (node := entries.get(key)) and node.value is not None and draft.number(key, node) <= 0:
        entries[key] = Node(node.mark, -1)


def whole_context(draft: Draft, entries: Entries, key: str) -> None:
    """Translate a window of 0, which means the whole context there, to -1."""
    if (node := entries.get(key)) and node.value == 0 and not isinstance(node.value, bool):
        entries[key] = Node(node.mark, -1)
        draft.report("changed", f"{key} 0", f"-1 here: the whole context in {draft.program}")


def default_window(draft: Draft, size: int) -> None:
    """Fill in the window if penalties are on and the key is missing."""
    if draft.penalises(*PENALTIES):
        draft.fill({"repeat_last_n": size}, f"a missing key means this in {draft.program}")


def breakers(draft: Draft, entries: Entries) -> None:
    """Take DRY's texts."""
    key = "dry_sequence_breakers"
    if node := listed(draft, key, entries.pop(key, None)):
        draft.take(key, key, node)


def listed(draft: Draft, key: str, node: Node | None) -> Node | None:
    """A list of texts, which may be given as its JSON, or as that JSON without its brackets."""
    if node is None or node.value is None or not isinstance(node.value, str):
        return node
    written = node.value.strip()
    try:
        texts = json.loads(written if written.startswith("[") else f"[{written}]")
    except (ValueError, RecursionError) as error:
        raise draft.error(node, f"{key}: {node.value!r} is not a list of texts") from error
    return Node(node.mark, [Node(node.mark, text) for text in texts])


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    export.counting(KEYS, prompt=True, window=True)
    stages = order.complete(export.left.pop("sampler_order", SAMPLER_STAGES))
    if stages[0] != "logit_bias":
        export.report("reordered", "sampler_order", f"{PROGRAM} adds biases first")
    _written_range(export)
    _written_dry_window(export)
    if export.left.get("repeat_last_n") == -1:
        export.left["repeat_last_n"] = 0
    if export.left.get("top_n_sigma") == -1:
        export.left["top_n_sigma"] = 0.0
    if (texts := export.left.pop("dry_sequence_breakers", None)) is not None:
        export.fields["dry_sequence_breakers"] = json.dumps(texts, ensure_ascii=False)[1:-1]
    if export.left.get("adaptive_p_target") == 0:
        del export.left["adaptive_p_target"]
        export.lose("adaptive_p_target", f"{PROGRAM} has no target of 0, which is off there")
    if export.left.get("adaptive_p_target") == -1:
        export.left["adaptive_p_target"] = 0.0
    written_dynamic(export, ("dynatemp_low", "dynatemp_high", "dynamic_temperature"))
    export.put(KEYS)
    export.fields |= _written_stages(stages)
    export.finish()
    export.no_place_for("model", "system", "prompt")
    export.own_values("temperature", "top_k", "top_p", "min_p")
    return dump(export.fields, preset.description), export.losses


def _written_range(export: Export) -> None:
    if export.left.get("repeat_last_n") == 0:
        del export.left["repeat_last_n"]
        for name in ("repeat_penalty", "frequency_penalty", "presence_penalty"):
            if export.left.pop(name, None) is not None:
                export.report("changed", name, "off: repeat_last_n is 0, which means all there")


def _written_dry_window(export: Export) -> None:
    """Write DRY's window as that of the penalties, if they leave it free."""
    if not export.is_active("dry_multiplier"):
        return
    size = export.left.pop("dry_last_n", PARAMS["dry_last_n"].default)
    other = export.left.get("repeat_last_n", PARAMS["repeat_last_n"].default)
    if not any(export.is_active(name) for name in PENALTIES) and size != 0:
        export.left["repeat_last_n"] = size
    elif size != other:
        export.report("changed", "dry_last_n", "it has the window of the penalties there")


def written_dynamic(export: Export, keys: tuple[str, str, str]) -> None:
    """Write a temperature and the range around it as the two ends and a switch."""
    if spread := export.left.pop("dynatemp_range", 0):
        middle = export.left.get("temperature", PARAMS["temperature"].default)
        if spread > middle:
            export.report("changed", "dynatemp_range", "a temperature below 0 is 0 there")
        ends = max(middle - spread, 0.0), middle + spread
        export.fields |= dict(zip(keys, (*ends, True), strict=True))


def _written_stages(stages: list[str]) -> dict[str, str]:
    names = {"penalties": ["repetition_penalty", "presence_penalty", "frequency_penalty"]}
    names["temperature"] = ["temperature", "dynamic_temperature"]
    written = [name for stage in stages for name in names.get(stage, [stage])]
    return {"sampler_priority": "\n".join(name for name in written if name != "logit_bias")}


FORMAT = Format(
    name="webui",
    program=PROGRAM,
    syntax="yaml",
    read=read,
    write=write,
    keys=frozenset({"temperature", "top_p", "top_k", "seed", thinking.EFFORT}),
    marks=frozenset(
        {*KEYS.values(), *SETTINGS.values(), *INERT, *DYNAMIC, STOPS, THINKING[0]}
        | {"do_sample", "temperature_last", "sampler_priority", "dry_sequence_breakers"}
    )
    - {"temperature", "top_p", "top_k", "seed"},
)
