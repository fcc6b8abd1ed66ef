"""LM Studio: presets as lists of fields (since 0.3), or as two groups of parameters (before)."""

from __future__ import annotations

import math
from typing import Any

from llmparams_cli.formats import lmstudio_older, thinking
from llmparams_cli.formats.common import Entries, Exported, Format, Imported, Loss, slug, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.kinds import Choice, Kind, Number
from llmparams_cli.params.table import CACHE_TYPES, PARAMS
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Node

PROGRAM = "LM Studio"
PREDICTION = "llm.prediction."
LOAD = "llm.load."
SYSTEM = PREDICTION + "systemPrompt"
STRUCTURED = PREDICTION + "structured"
OFFLOAD = LOAD + "llama.acceleration.offloadRatio"
FLASH = LOAD + "llama.flashAttention"

OPERATION_KEYS = {
    "temperature": PREDICTION + "temperature",
    "top_k": PREDICTION + "topKSampling",
    "top_p": PREDICTION + "topPSampling",
    "min_p": PREDICTION + "minPSampling",
    "xtc_probability": PREDICTION + "llama.xtcProbability",
    "xtc_threshold": PREDICTION + "llama.xtcThreshold",
    "repeat_penalty": PREDICTION + "repeatPenalty",
    "frequency_penalty": PREDICTION + "llama.frequencyPenalty",
    "presence_penalty": PREDICTION + "llama.presencePenalty",
    "max_tokens": PREDICTION + "maxPredictedTokens",
    "stop": PREDICTION + "stopStrings",
    "threads": PREDICTION + "llama.cpuThreads",
    "typical_p": PREDICTION + "llama.locallyTypicalSampling",
    "seed": PREDICTION + "seed",
}
LOAD_KEYS = {
    "context": LOAD + "contextLength",
    "batch_size": LOAD + "llama.evalBatchSize",
    "ubatch_size": LOAD + "llama.physicalBatchSize",
    "cache_type_k": LOAD + "llama.kCacheQuantizationType",
    "cache_type_v": LOAD + "llama.vCacheQuantizationType",
    "mmap": LOAD + "llama.tryMmap",
    "mlock": LOAD + "llama.keepModelInMemory",
    "rope_freq_base": LOAD + "llama.ropeFrequencyBase",
    "rope_freq_scale": LOAD + "llama.ropeFrequencyScale",
}
# Further spellings of some of these.
ALSO_KEYS = {"typical_p": PREDICTION + "llama.typicalSampling", "seed": LOAD + "seed"}
MIROSTAT = PREDICTION + "llama.mirostatSampling"
BIASES = (PREDICTION + "llama.logitBias", PREDICTION + "logitBias")
MIROSTAT_KEYS = {
    "mirostat": "version",
    "mirostat_tau": "targetEntropy",
    "mirostat_eta": "learningRate",
}
REPEAT_PENALTY = 1.1  # if the field is missing
# What it accepts, where that is less than here.
LIMITS: dict[str, Kind] = {
    "top_k": Number(integer=True, low=0, high=500),
    "threads": Number(integer=True, low=1),
    "context": Number(integer=True, low=1),
    **dict.fromkeys(
        ("cache_type_k", "cache_type_v"),
        Choice(tuple(word for word in CACHE_TYPES if word != "bf16")),
    ),
}
SLIDER_END = 1  # of the temperature
# Fields with a checkbox; unchecked, they have no effect.
CHECKED = (
    "top_p",
    "min_p",
    "xtc_probability",
    "xtc_threshold",
    "repeat_penalty",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "typical_p",
    "seed",
    "cache_type_k",
    "cache_type_v",
    "rope_freq_base",
    "rope_freq_scale",
)
UNCHECKED = {"max_tokens": 1000, "seed": -1}
REASONING = PREDICTION + "reasoning."
CUSTOM = "ext.virtualModel.customField."
PROMPT_TEMPLATE = PREDICTION + "promptTemplate"


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    name = draft.text("name", entries.pop("name", None))
    for key in ("identifier", "changed", "$schema"):
        entries.pop(key, None)
    is_complete = "operation" in entries or "inference_params" in entries
    if "load_params" in entries or "inference_params" in entries:
        system = lmstudio_older.take(draft, entries)
    else:
        system = _fields(draft, entries)
    draft.leave(entries)
    if is_complete:
        missing = f"a missing field means this in {PROGRAM}"
        draft.fill({"repeat_penalty": REPEAT_PENALTY}, missing)
        draft.goes_on()
    draft.counts_prompt()
    return [draft.finish(slug(name) if name else stem(place), system=system or None)]


def _fields(draft: Draft, entries: Entries) -> str | None:
    fields: Entries = {}
    for group in ("operation", "load"):
        if (node := entries.pop(group, None)) and node.value is not None:
            listed = draft.mapping(group, node).get("fields")
            for item in draft.items(f"{group}.fields", listed) if listed else []:
                field = draft.mapping("fields", item)
                key = draft.text("key", field.get("key"))
                if key and "value" in field:
                    fields[key] = field["value"]
    system = draft.text("systemPrompt", fields.pop(SYSTEM, None))
    if STRUCTURED in fields:
        _structured(draft, fields.pop(STRUCTURED))
    if OFFLOAD in fields:
        _offload(draft, fields.pop(OFFLOAD))
    if FLASH in fields:
        is_on = draft.flag("flashAttention", _ticked(draft, "flash_attention", fields.pop(FLASH)))
        draft.values["flash_attention"] = "on" if is_on else "off"
    _thinking(draft, fields)
    if fields.pop(PROMPT_TEMPLATE, None):
        draft.lose("promptTemplate", "the model file has its own template")
    if MIROSTAT in fields:
        _mirostat(draft, fields.pop(MIROSTAT))
    for key in BIASES:
        _biases(draft, key, fields.pop(key, None))
    for keys in (ALSO_KEYS, OPERATION_KEYS, LOAD_KEYS):
        for name, key in keys.items():
            if key in fields:
                draft.take(name, key, _ticked(draft, name, fields.pop(key)))
    draft.leave(fields)
    return system


def _thinking(draft: Draft, fields: Entries) -> None:
    """Read the switch, the level and the budget; models have their own fields for the first two."""
    for key in [key for key in fields if key.startswith((REASONING, CUSTOM))]:
        name = key.rpartition(".")[2]
        if name in ("enableThinking", "reasoningEffort"):
            thinking.take(draft, name, _chosen(draft, fields.pop(key)))
        elif name == "budgetTokens":
            draft.take("max_thinking_tokens", name, _chosen(draft, fields.pop(key)))


def _chosen(draft: Draft, node: Node) -> Node:
    """A field's value; null if its box is unchecked."""
    if not isinstance(node.value, dict) or "checked" not in node.value:
        return node
    is_on = draft.flag("checked", node.value["checked"])
    return node.value["value"] if is_on and "value" in node.value else Node(node.mark, None)


def _mirostat(draft: Draft, node: Node) -> None:
    """Read all three values together, or the version alone."""
    fields = node.value if isinstance(node.value, dict) else {}
    if "version" not in fields:
        draft.take("mirostat", "mirostatSampling", _ticked(draft, "mirostat", node))
    draft.take_all(dict(fields), MIROSTAT_KEYS)


def _biases(draft: Draft, key: str, node: Node | None) -> None:
    """Read [[token, bias], …]; the text -inf forbids a token."""
    for item in draft.items(key, node) if node and node.value is not None else []:
        pair = draft.items(key, item)
        if len(pair) != 2:
            raise draft.error(item, f"{key}: not a list of [token, bias]")
        bias = Node(pair[1].mark, False) if pair[1].value == "-inf" else pair[1]
        draft.take_biases(key, [(str(pair[0].plain()), bias)])


def _ticked(draft: Draft, name: str, node: Node) -> Node:
    """A field's value; if its box is unchecked, the neutral one."""
    if not isinstance(node.value, dict) or "checked" not in node.value:
        return node
    if draft.flag("checked", node.value["checked"]):
        return node.value.get("value", Node(node.mark, None))
    param = PARAMS[name]
    return Node(node.mark, param.default if param.neutral is None else param.neutral)


def _structured(draft: Draft, node: Node) -> None:
    if node.value is None:
        return
    fields = draft.mapping("structured", node)
    form = draft.text("type", fields.get("type"))
    if form == "json":
        schema = fields.get("jsonSchema", Node(node.mark, {}))
        draft.take("json_schema", "jsonSchema", schema)
    elif form == "gbnf" and "gbnfGrammar" in fields:
        draft.take("grammar", "gbnfGrammar", fields["gbnfGrammar"])
    elif form != "none":
        draft.lose("structured", f"{form!r} is not known here")


def _offload(draft: Draft, node: Node) -> None:
    """The share of layers on the GPU; only none and all have a counterpart here."""
    layers = {0: 0, 1: "all", "off": 0, "max": "all"}
    value = node.plain()
    if isinstance(value, (int, float, str)) and value in layers:
        draft.values["gpu_layers"] = layers[value]
    else:
        draft.lose("offloadRatio", "the number of layers depends on the model")


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    export.counting(OPERATION_KEYS, prompt=True, window=True)
    export.no_order()
    export.limit(LIMITS)
    if export.left.get("temperature", 0) > SLIDER_END:
        export.report("changed", "temperature", f"{PROGRAM}'s slider ends at {SLIDER_END}")
    load: dict[str, Any] = {}
    operation: dict[str, Any] = {} if preset.system is None else {SYSTEM: preset.system}
    for keys, fields in ((OPERATION_KEYS, operation), (LOAD_KEYS, load)):
        for name in [name for name in keys if name in export.left]:
            fields[keys[name]] = _written(name, export.left.pop(name))
    if biases := _written_biases(export):
        operation[BIASES[0]] = biases
    if export.left.get("mirostat"):
        values = {name: export.left.pop(name, PARAMS[name].default) for name in MIROSTAT_KEYS}
        operation[MIROSTAT] = {key: values[name] for name, key in MIROSTAT_KEYS.items()}
    if structured := _written_structure(export):
        operation[STRUCTURED] = structured
    if export.left.get("gpu_layers") in (0, "all"):
        load[OFFLOAD] = 0 if export.left.pop("gpu_layers") == 0 else 1
    if export.left.get("flash_attention") in ("on", "off"):
        load[FLASH] = export.left.pop("flash_attention") == "on"
    export.finish()
    export.no_place_for("description", "model", "prompt")
    export.own_values("repeat_penalty", "max_tokens")
    body = {
        "identifier": f"@local:{preset.name}",
        "name": preset.name,
        "changed": False,
        "operation": {"fields": _listed(operation)},
        "load": {"fields": _listed(load)},
    }
    return json_nodes.dump(body), export.losses


def _written(name: str, value: Any) -> Any:
    if name not in CHECKED:
        return value
    if value == -1 and name in UNCHECKED:  # it checks a value without a tick too
        return {"checked": False, "value": UNCHECKED[name]}
    return {"checked": True, "value": value}


def _written_biases(export: Export) -> list[list[Any]]:
    pairs = []
    for token, bias in export.left.pop("logit_bias", {}).items():
        if token.isdecimal():
            pairs.append([int(token), bias if bias != -math.inf else "-inf"])
        else:
            export.lose("logit_bias", f"{token!r}: {PROGRAM} takes token ids only")
    return pairs


def _written_structure(export: Export) -> dict[str, Any]:
    if grammar := export.left.pop("grammar", ""):
        return {"type": "gbnf", "gbnfGrammar": grammar}
    schema = export.left.pop("json_schema", None)
    if schema is None:
        return {}
    return {"type": "json", "jsonSchema": schema}


def _listed(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in fields.items()]


FORMAT = Format(
    name="lmstudio",
    program=PROGRAM,
    syntax="json",
    read=read,
    write=write,
    keys=frozenset({"identifier", "name", "changed", "load", "$schema"}),
    marks=frozenset({"operation", "load_params", "inference_params"}),
    file_name=r"\.preset\.json$",
)
