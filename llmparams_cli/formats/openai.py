"""OpenAI: the body of a chat request, as JSON."""

from __future__ import annotations

import math
import re
from typing import Any

from llmparams_cli.formats import messages, prompts, thinking
from llmparams_cli.formats.common import (
    Entries,
    Exported,
    Format,
    Imported,
    Loss,
    elsewhere,
    stem,
    words,
)
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import json_entries
from llmparams_cli.params.kinds import Number
from llmparams_cli.presets import json_nodes

PROGRAM = "OpenAI"
KEYS = {
    k: v for k, v in elsewhere("openai").items() if k not in ("stop", "logit_bias", "json_schema")
}
OLDER = ("max_tokens", "max_output_tokens")  # names of max_completion_tokens
INERT: dict[str, tuple[Any, ...]] = {
    "stream": (False, True),
    "stream_options": ({"include_usage": True},),
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False, True),
    "user": ("",),
}
COMPLETION_LENGTH = 16  # tokens, if a request with a prompt does not say it
MOST_STOPS = 4
# What the API accepts, where it is less than here.
LIMITS = {
    "temperature": Number(low=0, high=2),
    "frequency_penalty": Number(low=-2, high=2),
    "presence_penalty": Number(low=-2, high=2),
    "max_tokens": Number(integer=True, low=1),
    "seed": Number(integer=True, low=0),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    is_completion = "prompt" in entries and "messages" not in entries
    system, prompt = messages.take(draft, entries)
    for key in OLDER:
        if key in entries:
            draft.take("max_tokens", key, entries.pop(key))
    draft.take_all(entries, KEYS | {"stop": "stop"})
    thinking.take_all(draft, entries, thinking.EFFORT)
    thinking.take_reasoning(draft, entries)
    biases(draft, entries)
    response_format(draft, entries)
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_all()
    draft.fill_neutral(KEYS)
    if is_completion:
        draft.fill({"max_tokens": COMPLETION_LENGTH}, f"a missing key means this in {PROGRAM}")
    draft.goes_on()
    return [draft.finish(stem(place), model=model, system=system, prompt=prompt)]


def biases(draft: Draft, entries: Entries) -> None:
    """Read `logit_bias`, a mapping from token ids."""
    if (node := entries.pop("logit_bias", None)) and node.value is not None:
        draft.take_biases("logit_bias", draft.mapping("logit_bias", node).items())


def response_format(draft: Draft, entries: Entries) -> None:
    """Read the form that the answer must have."""
    node = entries.pop("response_format", None)
    if node is None or node.value is None:
        return
    fields = draft.mapping("response_format", node)
    kind = draft.text("type", fields.get("type"))
    if kind == "json_object":
        draft.values["json_schema"] = {"type": "object"}
    elif kind == "json_schema" and "json_schema" in fields:
        inner = draft.mapping("json_schema", fields["json_schema"])
        if "schema" in inner:
            draft.take("json_schema", "schema", inner["schema"])
    elif kind != "text":
        draft.lose("response_format", f"{kind!r} is not known here")


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    body: dict[str, Any] = {"model": preset.model} if preset.model else {}
    body["messages"] = _written_messages(export)
    export.counting(KEYS, prompt=False, window=False)
    export.no_order()
    for name in ("seed", "max_tokens"):  # -1 is what a missing key means
        if export.left.get(name) == -1:
            del export.left[name]
    export.limit(LIMITS)
    export.put(KEYS)
    thinking.write_effort(export, none=True)
    stops = export.left.pop("stop", [])
    if stops:
        export.fields["stop"] = stops[:MOST_STOPS]
    for stop in stops[MOST_STOPS:]:
        export.lose("stop", f"{stop!r}: {PROGRAM} takes at most {MOST_STOPS}")
    write_biases(export, whole=True)
    schema = export.left.pop("json_schema", None)
    if isinstance(schema, dict):
        name = re.sub(r"[^A-Za-z0-9_-]", "_", preset.name)[:64] or "answer"
        export.fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": name, "schema": schema},
        }
    elif schema is not None:
        export.lose("json_schema", f"{PROGRAM} takes objects only")
    export.finish()
    export.no_place_for("description")
    export.own_values("temperature", "top_p", "max_tokens")
    if not preset.model:
        export.report("filled", "model", "the preset has none: a request must name one")
    return json_nodes.dump(body | export.fields), export.losses


def _written_messages(export: Export) -> list[dict[str, str]]:
    preset = export.preset
    written = []
    if preset.system is not None:
        written.append({"role": "system", "content": preset.system})
    if (prompt := prompts.finished(preset.prompt)) is not None:
        written.append({"role": "user", "content": prompt})
    elif preset.prompt:
        export.lose("prompt", "a template with variables; a request has finished messages")
    return written


def write_biases(export: Export, whole: bool = False) -> None:
    """Write the biases of token ids, as `whole` numbers where the program has no others; a
    forbidden token gets -100, the lowest that is accepted.
    """
    kept: dict[str, float] = {}
    for token, bias in export.left.pop("logit_bias", {}).items():
        if not token.isdecimal():
            export.lose("logit_bias", f"{token!r}: {export.program} takes token ids only")
            continue
        if bias == -math.inf:
            export.report("changed", f"logit_bias {token}", "forbidden here, -100 there")
        kept[token] = max(bias, -100.0)
        if whole and kept[token] != round(kept[token]):
            kept[token] = round(kept[token])
            reason = f"{export.program} takes whole numbers: {kept[token]}"
            export.report("changed", f"logit_bias {token}", reason)
    if kept:
        export.fields["logit_bias"] = kept


NAMES = {*KEYS.values(), *OLDER, *INERT, "stop", "logit_bias", "response_format", thinking.EFFORT}
FORMAT = Format(
    name="openai",
    program=PROGRAM,
    syntax="json",
    read=read,
    write=write,
    keys=frozenset({*NAMES, "model", "prompt", "tools", "tool_choice", "reasoning"}),
    marks=words(
        """messages input instructions response_format max_completion_tokens max_output_tokens
        parallel_tool_calls reasoning_effort service_tier stream_options"""
    ),
    file_name=r"(?i)openai|request|chat",
)
