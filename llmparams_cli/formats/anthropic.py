"""Anthropic: the body of a request to its Messages API, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import messages
from llmparams_cli.formats.common import Format, Imported, stem, words
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
    entries.pop("anthropic_version", None)  # of the API
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.fill_neutral(KEYS)
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


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
