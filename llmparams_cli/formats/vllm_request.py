"""vLLM: the body of a request to its server, which is OpenAI's with more sampling parameters."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import messages, openai, thinking, vllm
from llmparams_cli.formats.common import Entries, Format, Imported, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = vllm.PROGRAM
EXTRA = "extra_body"  # where OpenAI's client in Python puts the further parameters
GUIDED = {form: f"guided_{form}" for form in vllm.FORMS.values()}  # before structured_outputs
TEMPLATE = {"chat_template": "chat_template"}
VARIABLES = "chat_template_kwargs"
INERT: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "continue_final_message": (False,),
    "add_special_tokens": (False, True),
    "use_beam_search": (False,),
    "length_penalty": (1,),
    "echo": (False,),
    "include_reasoning": (True, False),
    "top_a": (0,),
    "priority": (0,),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    if (node := entries.pop(EXTRA, None)) and node.value is not None:
        entries = draft.mapping(EXTRA, node) | entries
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    is_chat = "messages" in entries
    system, prompt = messages.take(draft, entries)
    take(draft, entries)
    draft.leave(entries)
    vllm.settle(draft, length=-1 if is_chat else vllm.LENGTH)
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


def take(draft: Draft, entries: Entries) -> None:
    """Read the parameters among `entries`: OpenAI's, and those that vLLM adds."""
    if node := entries.pop("max_completion_tokens", None):
        draft.take("max_tokens", "max_completion_tokens", node)
    for form, key in GUIDED.items():
        if (node := entries.pop(key, None)) and node.value is not None:
            vllm.structured(draft, key, Node(node.mark, {form: node}))
    openai.response_format(draft, entries)
    thinking.take_all(draft, entries, thinking.EFFORT)
    draft.take_all(entries, TEMPLATE)
    if node := entries.pop(VARIABLES, None):
        thinking.take_variables(draft, VARIABLES, node)
    vllm.take(draft, entries)
    draft.inert(entries, openai.INERT | INERT)


FORMAT = Format(
    name="vllm-request",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset({*openai.NAMES, *vllm.FORMAT.keys, "model", "tools", "tool_choice"}),
    marks=frozenset(
        {*vllm.MARKS, *GUIDED.values(), *INERT, "top_k", "min_p", "repetition_penalty", EXTRA}
        | {*TEMPLATE.values(), VARIABLES, vllm.KEYS["max_thinking_tokens"]}
    ),
    needs=frozenset({"messages", "prompt"}),
    file_name=r"(?i)vllm",
)
