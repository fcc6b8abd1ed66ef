"""SillyTavern: text completion settings, as JSON; a file has those of many backends at once."""

from __future__ import annotations

import json
import re
from typing import Any

from llmparams_cli.formats import order, webui
from llmparams_cli.formats.common import Entries, Exported, Format, Imported, Loss, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Node

PROGRAM = "SillyTavern"
KEYS = {
    "temperature": "temp",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "top_n_sigma": "nsigma",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "dry_multiplier": "dry_multiplier",
    "dry_base": "dry_base",
    "dry_allowed_length": "dry_allowed_length",
    "dry_last_n": "dry_penalty_last_n",
    "dynatemp_exponent": "dynatemp_exponent",
    "mirostat": "mirostat_mode",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
    "adaptive_p_target": "adaptive_target",
    "adaptive_p_decay": "adaptive_decay",
    "repeat_penalty": "rep_pen",
    "repeat_last_n": "rep_pen_range",
    "frequency_penalty": "freq_pen",
    "presence_penalty": "presence_pen",
    "max_tokens": "genamt",
    "context": "max_length",
    "ignore_eos": "ignore_eos_token",
    "grammar": "grammar_string",
}
SEPARATE = ("json_schema", "logit_bias", "dry_sequence_breakers", "ban_eos_token", "do_sample")
DYNAMIC = ("min_temp", "max_temp", "dynatemp")
ORDERS = ("samplers", "sampler_priority", "sampler_order", "temperature_last")
INERT: dict[str, tuple[Any, ...]] = {
    **{k: v for k, v in webui.INERT.items() if k != "auto_max_new_tokens"},
    "rep_pen_decay": (0,),
    "rep_pen_slope": (0, 1),
    "encoder_rep_pen": (1,),
    "skew": (0,),
    "banned_tokens": ("",),
    "banned_strings": ([],),
    "global_banned_tokens": ("",),
    "send_banned_tokens": (True, False),
    "speculative_ngram": (False,),
    "spaces_between_special_tokens": (True,),
    "include_reasoning": (True, False),
    "json_schema_allow_empty": (False, True),
    "streaming": (True, False),
    "stream": (True, False),
    "seed": (-1,),
    "n": (1,),
    "samplers_priorities": (),
    "extensions": ({},),
    "preset": (),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    entries.pop("samplers_priorities", None)  # of yet another backend
    _order(draft, entries)
    target = entries.get("adaptive_target")
    if target and target.value is not None and draft.number("adaptive_target", target) < 0:
        entries["adaptive_target"] = Node(target.mark, -1)
    for key in ("rep_pen_range", "dry_penalty_last_n"):
        webui.whole_context(draft, entries, key)
    webui.breakers(draft, entries)
    _biases(draft, entries)
    _schema(draft, entries)
    if draft.flag("ban_eos_token", entries.pop("ban_eos_token", None)):
        draft.values["ignore_eos"] = True
    do_sample = draft.flag("do_sample", entries.pop("do_sample", None))
    low, high = (entries.pop(key, None) for key in DYNAMIC[:2])
    is_dynamic = draft.flag(DYNAMIC[2], entries.pop(DYNAMIC[2], None))
    if (node := entries.get("ignore_eos_token")) and draft.values.get("ignore_eos"):
        del entries["ignore_eos_token"]
    draft.take_all(entries, KEYS)
    if is_dynamic and low and high:
        draft.dynamic_temperature(
            draft.number("min_temp", low), draft.number("max_temp", high), low
        )
    if do_sample is False:
        draft.values["temperature"] = 0.0
        draft.report("changed", "temperature 0", "do_sample is false")
    if (node := entries.get("seed")) and node.value != -1:
        draft.take("seed", "seed", entries.pop("seed"))
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.fill_neutral([*KEYS, "dynatemp_range"])
    webui.default_window(draft, -1)
    return [draft.finish(stem(place))]


def _order(draft: Draft, entries: Entries) -> None:
    """Take the order for llama.cpp, or else that of another backend.

    Stages missing from a list did not exist, or could not be moved, when it was saved: they
    still run.
    """
    nodes = {key: entries.pop(key) for key in ORDERS if key in entries}
    is_last = draft.flag("temperature_last", nodes.get("temperature_last"))
    if stages := webui.priority(draft, nodes, "samplers"):
        draft.sampler_order(order.complete(stages), "as in `samplers`, the list for llama.cpp")
        return
    if stages := webui.priority(draft, nodes, "sampler_priority"):
        stages = order.temperature_last(stages) if is_last else stages
        draft.sampler_order(order.complete(stages), "as in `sampler_priority`")
    elif is_last is not None and "sampler_order" not in nodes:
        stages = order.temperature_last(order.WEBUI) if is_last else list(order.WEBUI)
        draft.sampler_order(order.complete(stages), f"temperature_last is {str(is_last).lower()}")
    elif (node := nodes.get("sampler_order")) and node.value is not None:
        numbers = [
            draft.number("sampler_order", item) for item in draft.items("sampler_order", node)
        ]
        draft.sampler_order(order.kobold(numbers), "as in `sampler_order`, the list for KoboldCpp")


def _biases(draft: Draft, entries: Entries) -> None:
    """Read `[{"text": …, "value": …}]`, where a text in brackets is a list of token ids."""
    node = entries.pop("logit_bias", None)
    if node is None or node.value is None:
        return
    for item in draft.items("logit_bias", node):
        fields = draft.mapping("logit_bias", item)
        text = draft.text("text", fields.get("text"))
        value = fields.get("value")
        if not text or value is None:
            continue
        ids = re.fullmatch(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", text)
        tokens = re.split(r"\s*,\s*", ids[1]) if ids else [text]
        draft.take_biases("logit_bias", [(token, value) for token in tokens])


def _schema(draft: Draft, entries: Entries) -> None:
    node = entries.pop("json_schema", None)
    if node is None or node.value in (None, "") or node.value == {}:
        return
    if isinstance(node.value, str):
        written = Draft(draft.place, PROGRAM, textual=True)
        written.take("json_schema", "json_schema", node)
        draft.values.update(written.values)
    else:
        draft.take("json_schema", "json_schema", node)


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    export.counting(KEYS, prompt=True, window=True)
    stages = export.left.pop("sampler_order", None)
    if stages is not None:
        stages = order.complete(stages)
        if stages[0] != "logit_bias":
            export.report("reordered", "sampler_order", f"{PROGRAM} adds biases first")
        export.fields["samplers"] = [stage for stage in stages if stage != "logit_bias"]
    last = (stages or SAMPLER_STAGES)[-1:]
    export.fields["temperature_last"] = list(last) == ["temperature"]
    _written_windows(export)
    if (texts := export.left.pop("dry_sequence_breakers", None)) is not None:
        export.fields["dry_sequence_breakers"] = json.dumps(texts, ensure_ascii=False)
    webui.written_dynamic(export, DYNAMIC)
    if biases := export.left.pop("logit_bias", {}):
        export.fields["logit_bias"] = [
            {"text": f"[{token}]" if token.isdecimal() else token, "value": max(bias, -100.0)}
            for token, bias in biases.items()
        ]
    for token, bias in biases.items():
        if bias < -100:
            export.report("changed", f"logit_bias {token}", "forbidden here, -100 there")
    schema = export.left.pop("json_schema", None)
    if isinstance(schema, dict) and schema:
        export.fields["json_schema"] = schema
    elif schema is not None:
        export.lose("json_schema", f"{PROGRAM} takes objects with something in them only")
    if (seed := export.left.pop("seed", -1)) != -1:
        export.fields["seed"] = seed
    export.put(KEYS)
    export.finish()
    export.no_place_for("description", "model", "system", "prompt")
    export.own_values("temperature", "top_k", "top_p", "min_p")
    return json_nodes.dump(export.fields), export.losses


def _written_windows(export: Export) -> None:
    """Turn off penalties whose window is empty: 0 means the whole context there."""
    off = {
        "repeat_last_n": ("repeat_penalty", "frequency_penalty", "presence_penalty"),
        "dry_last_n": ("dry_multiplier",),
    }
    for window, names in off.items():
        size = export.left.get(window)
        if size == -1:
            export.left[window] = 0
        elif size == 0:
            del export.left[window]
            for name in names:
                if export.left.get(name, PARAMS[name].neutral) != PARAMS[name].neutral:
                    export.left[name] = PARAMS[name].neutral
                    export.report("changed", name, f"off: {window} is 0, which means all there")


FORMAT = Format(
    name="sillytavern",
    program=PROGRAM,
    syntax="json",
    read=read,
    write=write,
    keys=frozenset({*KEYS.values(), *SEPARATE, *DYNAMIC, *ORDERS, *INERT}),
    marks=words(
        """temp rep_pen freq_pen presence_pen mirostat_mode nsigma genamt
        grammar_string dynatemp min_temp max_temp rep_pen_range encoder_rep_pen"""
    ),
)
