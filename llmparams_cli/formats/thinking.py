"""How much a model is to think, as other programs say it: a switch, a level, or variables of the
chat template.
"""

from __future__ import annotations

import json

from llmparams_cli.formats.common import Entries
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.params.kinds import Arguments
from llmparams_cli.presets.nodes import Node

EFFORT = "reasoning_effort"
LEVELS = ("low", "medium", "high")
# Other words for what there is here, and levels that there are only there.
WORDS = {
    **{word: word for word in ("auto", "on", "off", *LEVELS)},
    **dict.fromkeys(("default", "adaptive", "-1"), "auto"),
    **dict.fromkeys(("true", "1", "enabled"), "on"),
    **dict.fromkeys(("false", "0", "disabled", "none"), "off"),
}
BEYOND = {"minimal": "low", "xhigh": "high", "max": "high"}


def take_all(draft: Draft, entries: Entries, *keys: str) -> None:
    """Move these keys, each of them a switch or a level, out of `entries`."""
    for key in keys:
        if key in entries:
            take(draft, key, entries.pop(key))


def take(draft: Draft, key: str, node: Node) -> None:
    """Read a switch (true or false) or a level; null counts as not given. Where a file has both,
    off counts before a level, and a level before on.
    """
    if node.value is None:
        return
    if not isinstance(node.value, (bool, str)):
        raise draft.error(node, f"{key}: {node.plain()!r} is neither true, false nor a level")
    word = str(node.value).lower()
    if level := BEYOND.get(word):
        draft.report("changed", f"{key} {word}", f"{level} is the nearest level here")
    elif not (level := WORDS.get(word)):
        draft.lose(key, f"{word!r} is no level here")
        return
    rank = ("auto", "on", *LEVELS, "off").index
    draft.values["thinking"] = max(level, draft.values.get("thinking", "auto"), key=rank)


def take_reasoning(draft: Draft, entries: Entries, key: str = "reasoning") -> None:
    """Read {effort, enabled, max_tokens}, as in requests for responses and at OpenRouter."""
    node = entries.pop(key, None)
    if node is None or node.value is None:
        return
    fields = draft.mapping(key, node)
    take_all(draft, fields, "enabled", "effort")
    draft.take_all(fields, {"max_thinking_tokens": "max_tokens"})
    for other in ("exclude", "summary", "generate_summary"):  # what is shown of the thoughts
        fields.pop(other, None)
    draft.leave({f"{key}.{name}": item for name, item in fields.items()})


def take_variables(draft: Draft, key: str, node: Node) -> None:
    """Read the variables of a chat template: a mapping, or its JSON."""
    if node.value is None or node.value == "":
        return
    value = node.plain()
    try:
        value = json.loads(value) if isinstance(value, str) else value
        checked = Arguments().check(value)
    except (ValueError, RecursionError) as error:
        raise draft.error(node, f"{key}: {error}") from error
    if checked:
        draft.values["template_arg"] = checked


def write_effort(export: Export, *, none: bool) -> None:
    """Write a level, and off where the program has the word none for it."""
    value = export.left.pop("thinking", "auto")
    if value in LEVELS:
        export.fields[EFFORT] = value
    elif value == "off" and none:
        export.fields[EFFORT] = "none"
    elif value != "auto":
        export.lose("thinking", f"{export.program} has levels only, and not {value}")
