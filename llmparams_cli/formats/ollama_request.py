"""Ollama: the body of a request to /api/generate or /api/chat, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import messages, ollama, thinking
from llmparams_cli.formats.common import Entries, Format, Imported, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = "Ollama"
THINK = "think"  # true, false or a level
INERT: dict[str, tuple[Any, ...]] = {
    "stream": (True, False),
    "keep_alive": (),
    "suffix": ("",),
    "template": ("",),
    "raw": (False,),
    "images": ([],),
    "tools": ([],),
    "context": ([],),
    "truncate": (True,),
    "shift": (True,),
    "logprobs": (False,),
    "top_logprobs": (0,),
}
LATER = {"draft_num_predict": (), "num_keep": (0, 4), "numa": (False,)}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    name = draft.text("model", entries.pop("model", None))
    system, prompt = messages.take(draft, entries)
    if node := entries.pop("format", None):
        _format(draft, node)
    thinking.take_all(draft, entries, THINK)
    _options(draft, entries.pop("options", None))
    entries.pop("keep_alive", None)  # how long the model stays loaded between requests
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.fill(ollama.DEFAULTS, "a missing option means this in Ollama, unless the model sets it")
    draft.goes_on()
    model = draft.model("model", name, own_names=True)
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


def _options(draft: Draft, node: Node | None) -> None:
    if node is None or node.value is None:
        return
    options: Entries = draft.mapping("options", node)
    ollama.sentinels(draft, options)
    draft.inert(options, {**LATER, "tfs_z": (1,)})
    draft.take_all(options, ollama.KEYS | ollama.OLDER)
    draft.leave(options)


def _format(draft: Draft, node: Node) -> None:
    """'json', or a JSON Schema."""
    if node.value == "json":
        draft.values["json_schema"] = {"type": "object"}
    elif node.value != "":
        draft.take("json_schema", "format", node)


FORMAT = Format(
    name="ollama-request",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset({"model", "prompt", "system", "messages", THINK, *INERT}),
    marks=frozenset({"options", "keep_alive", "format", "raw", THINK, "template"}),
    file_name=r"(?i)ollama",
)
