"""Anthropic: the body of a request to its Messages API, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import messages, thinking
from llmparams_cli.formats.common import Entries, Format, Imported, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries

PROGRAM = "Anthropic"
KEYS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "stop": "stop_sequences",
}
OLDER = {"max_tokens": "max_tokens_to_sample"}  # of requests with a prompt
INERT: dict[str, tuple[Any, ...]] = {
    "stream": (True, False),
    "anthropic_version": (),
    "metadata": ({},),
    "tools": ([],),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    system, prompt = messages.take(draft, entries)
    draft.take_all(entries, KEYS)
    draft.take_all(entries, OLDER)
    _thinking(draft, entries)
    entries.pop("anthropic_version", None)  # of the API
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.fill_neutral(KEYS)
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


def _thinking(draft: Draft, entries: Entries) -> None:
    """Read {type: enabled, budget_tokens}, and the level beside it."""
    if (node := entries.pop("thinking", None)) and node.value is not None:
        fields = draft.mapping("thinking", node)
        thinking.take_all(draft, fields, "type")
        draft.take_all(fields, {"max_thinking_tokens": "budget_tokens"})
        fields.pop("display", None)  # what is shown of the thoughts
        draft.leave({f"thinking.{name}": item for name, item in fields.items()})
    if (node := entries.pop("output_config", None)) and node.value is not None:
        fields = draft.mapping("output_config", node)
        thinking.take_all(draft, fields, "effort")
        draft.leave({f"output_config.{name}": item for name, item in fields.items()})


FORMAT = Format(
    name="anthropic",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset({*KEYS.values(), *INERT, "model"}),
    marks=words(
        """system prompt stop_sequences thinking anthropic_version mcp_servers context_management
        output_config"""
    ),
    needs=frozenset({"messages", OLDER["max_tokens"]}),
    file_name=r"(?i)anthropic|claude",
)
