"""transformers: generation_config.json."""

from __future__ import annotations

import math
from typing import Any

from llmparams_cli.formats import order
from llmparams_cli.formats.common import (
    Entries,
    Exported,
    Format,
    Imported,
    Loss,
    does_nothing,
    elsewhere,
    stem,
)
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.kinds import Number
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Node

PROGRAM = "transformers"
# A bias has several keys of different forms: see `_biases`.
KEYS = {k: v for k, v in elsewhere("hf").items() if k != "logit_bias"}
DEFAULT_TOP_K = 50  # the only sampler that is on when its key is missing

SAMPLERS = ("top_k", "top_p", "min_p", "typical_p")
# What transformers accepts, where it is less than here.
LIMITS = {
    "top_p": Number(low=0, high=1, low_open=True),
    "typical_p": Number(low=0, high=1, low_open=True),
}

OF_THE_MODEL = (
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
)
INERT: dict[str, tuple[Any, ...]] = {
    "transformers_version": (),
    "_from_model_config": (True, False),
    "use_cache": (True,),
    "trust_remote_code": (False,),
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "length_penalty": (1,),
    "early_stopping": (False,),
    "diversity_penalty": (0,),
    "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "penalty_alpha": (0,),
    "guidance_scale": (1,),
    "output_scores": (False,),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "return_dict_in_generate": (False, True),
    "remove_invalid_values": (False,),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    entries.pop("transformers_version", None)
    do_sample = draft.flag("do_sample", entries.pop("do_sample", None))
    draft.take_all(entries, KEYS)
    _biases(draft, entries)
    if do_sample is False:
        draft.values["temperature"] = 0.0
        draft.report("changed", "temperature 0", "do_sample is false")
    elif do_sample is None:
        reason = "it is missing, and transformers would not sample; other readers of the file do"
        draft.report("changed", "do_sample", reason)
    for key in OF_THE_MODEL:
        if (node := entries.pop(key, None)) and node.value is not None:
            draft.lose(key, "the model file has its own special tokens")
    if (node := entries.pop("max_length", None)) and node.value is not None:
        draft.lose("max_length", "it counts the prompt too; max_new_tokens does not")
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.counts_all()
    draft.fill_neutral(KEYS, top_k=DEFAULT_TOP_K)
    draft.sampler_order(order.complete(order.HF), "transformers applies the temperature first")
    return [draft.finish(stem(place))]


def _biases(draft: Draft, entries: Entries) -> None:
    """Read `sequence_bias` [[[token], bias], …], and the lists of forbidden tokens."""
    pairs: list[tuple[str, Node]] = []
    if (node := entries.pop("sequence_bias", None)) and node.value is not None:
        for item in draft.items("sequence_bias", node):
            parts = draft.items("sequence_bias", item)
            tokens = draft.items("sequence_bias", parts[0]) if len(parts) == 2 else []
            _add(draft, "sequence_bias", tokens, parts[-1] if parts else item, pairs)
    if (node := entries.pop("suppress_tokens", None)) and node.value is not None:
        for item in draft.items("suppress_tokens", node):
            _add(draft, "suppress_tokens", [item], Node(item.mark, False), pairs)
    if (node := entries.pop("bad_words_ids", None)) and node.value is not None:
        for item in draft.items("bad_words_ids", node):
            tokens = draft.items("bad_words_ids", item)
            _add(draft, "bad_words_ids", tokens, Node(item.mark, False), pairs)
    for token, bias in pairs:
        if bias.value is False:
            draft.values.setdefault("logit_bias", {})[token] = -math.inf
        else:
            draft.take_biases("sequence_bias", [(token, bias)])


def _add(
    draft: Draft, key: str, tokens: list[Node], bias: Node, pairs: list[tuple[str, Node]]
) -> None:
    if len(tokens) != 1:
        draft.lose(key, "only single tokens can have a bias")
        return
    number = draft.number(key, tokens[0])
    pairs.append((str(int(number)), bias))


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    export.counting(KEYS, prompt=True, window=False)
    export.fixed_order(order.HF)
    is_greedy = export.left.get("temperature") == 0
    if is_greedy:  # transformers refuses a temperature of 0, and samplers beside do_sample false
        del export.left["temperature"]
        for name in SAMPLERS:
            value = export.left.pop(name, PARAMS[name].neutral)
            if not does_nothing(name, value):
                export.lose(name, f"{PROGRAM} refuses it where it does not sample")
    export.fields["do_sample"] = not is_greedy
    if export.left.get("time_limit") == 0:  # which would end the text at once there
        del export.left["time_limit"]
    export.limit(LIMITS)
    if export.left.get("max_tokens") == -1:
        del export.left["max_tokens"]
        export.lose("max_tokens", f"{PROGRAM} cannot go on without a limit")
    _written_biases(export)
    export.put({name: key for name, key in KEYS.items() if name != "stop"})
    if stops := export.left.pop("stop", []):
        export.fields["stop_strings"] = stops
    export.finish()
    export.no_place_for("description", "model", "system", "prompt")
    if not is_greedy:
        export.own_values("temperature", "top_k", "top_p", "min_p")
    return json_nodes.dump(export.fields), export.losses


def _written_biases(export: Export) -> None:
    sequences, suppressed = [], []
    for token, bias in export.left.pop("logit_bias", {}).items():
        if not token.isdecimal():
            export.lose("logit_bias", f"{token!r}: {PROGRAM} takes token ids only")
        elif bias == -math.inf:
            suppressed.append(int(token))
        else:
            sequences.append([[int(token)], bias])
    if sequences:
        export.fields["sequence_bias"] = sequences
    if suppressed:
        export.fields["suppress_tokens"] = suppressed


FORMAT = Format(
    name="hf",
    program=PROGRAM,
    syntax="json",
    read=read,
    write=write,
    keys=frozenset({*KEYS.values(), *OF_THE_MODEL, *INERT, "do_sample", "max_length"}),
    marks=frozenset(
        {*OF_THE_MODEL, "do_sample", "max_new_tokens", "transformers_version"}
        | {"_from_model_config", "sequence_bias", "suppress_tokens", "bad_words_ids"}
    ),
    file_name=r"^generation_config",
)
