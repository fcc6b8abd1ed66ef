"""The system text and the prompt in the requests of APIs."""

from __future__ import annotations

from collections.abc import Iterable

from llmparams_cli.formats import prompts
from llmparams_cli.formats.common import Entries
from llmparams_cli.formats.draft import Draft
from llmparams_cli.presets.nodes import Node

KEYS = ("model", "prompt", "system", "instructions", "messages", "input")
SYSTEM_ROLES = ("system", "developer")


def take(draft: Draft, entries: Entries) -> tuple[str | None, str | None]:
    """Move the first system text and the first prompt out of `entries`."""
    system = _first(_content(draft, key, entries.pop(key, None)) for key in KEYS[2:4])
    prompt = _prompt(draft, entries.pop("prompt", None))
    for key in KEYS[4:]:
        node = entries.pop(key, None)
        if node is not None and isinstance(node.value, str):
            prompt = prompt or node.value
            continue
        for message in draft.items(key, node) if node and node.value is not None else []:
            role, content = _message(draft, key, message)
            if role in SYSTEM_ROLES and system is None:
                system = content
            elif role == "user" and prompt is None:
                prompt = content
            else:
                draft.lose(f"message of {role}", "a preset has one system text and one prompt")
    return system, None if prompt is None else prompts.literal(prompt)


def _message(draft: Draft, key: str, node: Node) -> tuple[str | None, str | None]:
    """The role and the text of a message; a bare text is the user's."""
    if isinstance(node.value, str):
        return "user", node.value
    fields = draft.mapping(key, node)
    role = draft.text("role", fields.get("role"))
    return role, _content(draft, "content", fields.get("content"))


def _prompt(draft: Draft, node: Node | None) -> str | None:
    """A text; some APIs take several prompts, or token ids."""
    if node is None or not isinstance(node.value, list):
        return draft.text("prompt", node)
    texts = [item.value for item in node.value if isinstance(item.value, str)]
    if len(texts) != 1 or len(node.value) != 1:
        draft.lose("prompt", "a preset has one prompt, as text")
        return None
    return texts[0]


def _content(draft: Draft, key: str, node: Node | None) -> str | None:
    """A text, which may be a list of parts."""
    if node is None or not isinstance(node.value, list):
        return draft.text(key, node)
    texts = []
    for part in node.value:
        fields = draft.mapping(key, part)
        if text := draft.text("text", fields.get("text")):
            texts.append(text)
        else:
            draft.lose(key, "a prompt is text only")
    return "".join(texts)


def _first(texts: Iterable[str | None]) -> str | None:
    return next((text for text in texts if text is not None), None)
