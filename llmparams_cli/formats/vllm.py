"""vLLM: SamplingParams, as JSON."""

from __future__ import annotations

import json
from typing import Any

from llmparams_cli.formats import openai, order
from llmparams_cli.formats.common import Entries, Exported, Format, Imported, Loss, elsewhere, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.kinds import Number
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Node

PROGRAM = "vLLM"
FORMS = {"json_schema": "json", "grammar": "grammar", "regex": "regex", "choices": "choice"}
NOT_HERE = ("logit_bias", *FORMS)
# Parameters of loading and of the context belong to vLLM's engine, not to SamplingParams.
KEYS = {
    name: key
    for name, key in elsewhere("vllm").items()
    if PARAMS[name].scope in (Scope.SAMPLING, Scope.STOPPING) and name not in NOT_HERE
}
INERT: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "min_tokens": (0,),
    "logprobs": (0,),
    "prompt_logprobs": (0,),
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "detokenize": (True,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "include_stop_str_in_output": (False,),
    "output_kind": (0,),
    "allowed_token_ids": (),
    "truncate_prompt_tokens": (),
    "extra_args": ({},),
}
LENGTH = 16  # tokens, if SamplingParams do not say it
STRUCTURED = ("structured_outputs", "guided_decoding")  # the current name, and the older one
MARKS = frozenset({*INERT, *STRUCTURED} - {"n", "logprobs", "skip_special_tokens"})
LIMITS = {
    "top_p": Number(low=0, high=1, low_open=True),
    "frequency_penalty": Number(low=-2, high=2),
    "presence_penalty": Number(low=-2, high=2),
    "max_tokens": Number(integer=True, low=1),
    "seed": Number(integer=True, low=0),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    take(draft, entries)
    draft.leave(entries)
    settle(draft, LENGTH)
    return [draft.finish(stem(place))]


def take(draft: Draft, entries: Entries) -> None:
    """Read the sampling parameters among `entries`."""
    if (node := entries.get("max_tokens")) and node.value is None:
        entries["max_tokens"] = Node(node.mark, -1)
    draft.take_all(entries, KEYS)
    openai.biases(draft, entries)
    for key in STRUCTURED:
        if (node := entries.pop(key, None)) and node.value is not None:
            structured(draft, key, node)
    draft.inert(entries, INERT)


def settle(draft: Draft, length: int) -> None:
    """Set what vLLM means by leaving keys out."""
    _counting(draft)
    draft.counts_all()
    draft.fill_neutral(KEYS)
    draft.fill({"max_tokens": length}, f"a missing key means this in {PROGRAM}")
    draft.sampler_order(order.complete(order.VLLM), "vLLM applies the temperature first")


def _counting(draft: Draft) -> None:
    """The repetition penalty counts the prompt too, the others the output only."""
    if draft.penalises("repeat_penalty"):
        draft.counts_prompt()
        if draft.penalises("frequency_penalty", "presence_penalty"):
            reason = "in vLLM, only the repetition penalty counts the prompt; here all or none do"
            draft.report("changed", "frequency_penalty, presence_penalty", reason)


def structured(draft: Draft, key: str, node: Node) -> None:
    """Read the form that the answer must have: `{form: value}`."""
    for form, value in draft.mapping(key, node).items():
        if value.value is None:
            continue
        name = next((name for name, theirs in FORMS.items() if theirs == form), None)
        if name == "json_schema":
            written = Draft(draft.place, PROGRAM, textual=True)
            written.take(name, f"{key}.{form}", value)
            draft.values.update(written.values)
        elif name:
            draft.take(name, f"{key}.{form}", value)
        else:
            draft.lose(f"{key}.{form}", f"only {', '.join(FORMS.values())} are known here")


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    _written_counting(export)
    export.fixed_order(order.VLLM)
    for name in ("seed", "max_thinking_tokens"):  # -1 is what a missing key means
        if export.left.get(name) == -1:
            del export.left[name]
    if export.left.get("max_tokens") == -1:
        # Written as null, which means no limit; without the key, vLLM stops after 16 tokens.
        del export.left["max_tokens"]
        export.fields["max_tokens"] = None
    export.limit(LIMITS)
    export.put(KEYS)
    openai.write_biases(export)
    _written_structure(export)
    export.finish()
    export.no_place_for("description", "model", "system", "prompt")
    export.own_values("temperature", "top_k", "top_p", "min_p", "max_tokens")
    return json_nodes.dump(export.fields), export.losses


def _written_counting(export: Export) -> None:
    counts = export.left.get("penalize_prompt", False)
    is_repeating = export.is_active("repeat_penalty")
    is_mixed = any(export.is_active(name) for name in ("frequency_penalty", "presence_penalty"))
    export.counting(KEYS, prompt=is_repeating, window=False)
    if is_repeating and is_mixed and counts:
        reason = f"{PROGRAM} counts the output only for them"
        export.report("changed", "frequency_penalty, presence_penalty", reason)


def _written_structure(export: Export) -> None:
    """vLLM takes one form; of several, the first one counts that is no schema."""
    given = {
        name: value
        for name in ("grammar", "regex", "choices", "json_schema")
        if (value := export.left.pop(name, None)) not in (None, "", [])
    }
    for name, value in given.items():
        if name != next(iter(given)):
            export.lose(name, f"the {next(iter(given))} counts")
            continue
        is_text = name == "json_schema" and not isinstance(value, dict)
        export.fields["structured_outputs"] = {FORMS[name]: json.dumps(value) if is_text else value}


FORMAT = Format(
    name="vllm",
    program=PROGRAM,
    syntax="json",
    read=read,
    write=write,
    keys=frozenset({*KEYS.values(), *INERT, "logit_bias"}),
    marks=MARKS,
    file_name=r"(?i)vllm|sampling_?params",
)
