"""llama.cpp: the body of a request to its server, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import llama_cpp_options, messages, openai, order, thinking
from llmparams_cli.formats.common import Entries, Format, Imported, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.table import PARAMS

PROGRAM = llama_cpp_options.PROGRAM
OTHER_NAMES = {
    "max_tokens": "n_predict",
    "max_thinking_tokens": "reasoning_budget_tokens",
    "dry_last_n": "dry_penalty_last_n",
    "adaptive_p_target": "adaptive_target",
    "adaptive_p_decay": "adaptive_decay",
    "time_limit": "t_max_predict_ms",
}
SEPARATE = ("sampler_order", "logit_bias", "lora", "penalize_prompt", "repeat_penalty_growth")
KEYS = {
    name: OTHER_NAMES.get(name, name)
    for name, param in PARAMS.items()
    if param.scope.value in ("sampling", "stopping") and name not in (*SEPARATE, "time_limit")
}
ALSO = {"max_tokens": "max_tokens", "max_thinking_tokens": "thinking_budget_tokens"}
VARIABLES = "chat_template_kwargs"
INERT: dict[str, tuple[Any, ...]] = {
    **openai.INERT,
    "n_keep": (0, -1),
    "n_discard": (0,),
    "n_probs": (0,),
    "min_keep": (0,),
    "n_indent": (0,),
    "id_slot": (-1,),
    "cache_prompt": (True, False),
    "return_tokens": (True, False),
    "return_progress": (True, False),
    "timings_per_token": (True, False),
    "post_sampling_probs": (True, False),
    "response_fields": ([],),
    "t_max_predict_ms": (0, -1),
    "t_max_prompt_ms": (0, -1),
    "penalize_nl": (True, False),
    "reasoning_format": ("none", "auto", "deepseek", "deepseek-legacy"),
    "reasoning_in_content": (True, False),
    "reasoning_control": (True, False),
    "tfs_z": (1,),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    system, prompt = messages.take(draft, entries)
    _biases(draft, entries)
    openai.response_format(draft, entries)
    if (node := entries.pop("samplers", None)) and node.value is not None:
        given = node.value if isinstance(node.value, list) else [node]
        names = [draft.text("samplers", each) or "" for each in given]
        names = [part for name in names for part in name.split(";")]
        draft.sampler_order(["logit_bias", *order.known(names)], "as the file says")
    draft.take_all(entries, KEYS)
    draft.take_all(entries, ALSO)
    thinking.take_all(draft, entries, thinking.EFFORT)
    if node := entries.pop(VARIABLES, None):
        thinking.take_variables(draft, VARIABLES, node)
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.goes_on()
    llama_cpp_options.default_window(draft)
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


def _biases(draft: Draft, entries: Entries) -> None:
    """Read [[token, bias], …], where false forbids a token, or a mapping."""
    node = entries.get("logit_bias")
    if node is None or not isinstance(node.value, list):
        openai.biases(draft, entries)
        return
    del entries["logit_bias"]
    pairs = [draft.items("logit_bias", pair) for pair in draft.items("logit_bias", node)]
    for pair in pairs:
        if len(pair) != 2:
            raise draft.error(node, "logit_bias: not a list of [token, bias]")
        draft.take_biases("logit_bias", [(str(pair[0].plain()), pair[1])])


FORMAT = Format(
    name="llama.cpp-request",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset(
        {*KEYS.values(), *ALSO.values(), *INERT}
        | {"model", "system", "logit_bias", VARIABLES, thinking.EFFORT}
    ),
    marks=words(
        """n_predict repeat_last_n repeat_penalty cache_prompt n_keep n_probs id_slot min_keep
        samplers tfs_z t_max_predict_ms dry_multiplier xtc_probability dynatemp_range
        top_n_sigma mirostat typical_p grammar reasoning_budget_tokens thinking_budget_tokens
        reasoning_format"""
    ),
    needs=frozenset({"prompt", "messages"}),
)
