"""The messages of a conversation, as rows and OpenAI's requests write them."""

from __future__ import annotations

from collections.abc import Mapping

from llmparams_cli.presets.nodes import Node, Unreadable
from llmparams_cli.protocol import Message

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
PARTS = ("text", "input_text", "output_text", "refusal")  # of a content, those that are texts
REASONING = ("reasoning_content", "reasoning")  # what an assistant thought before it answered


def messages_of(node: Node, key: str = "messages") -> tuple[Message, ...]:
    """Read a list of {"role": …, "content": …}; raises Unreadable."""
    if not isinstance(node.value, list) or not node.value:
        raise Unreadable(node.mark, f"{key}: not a list of messages")
    return tuple(map(_message, node.value))


def _message(node: Node) -> Message:
    if not isinstance(node.value, dict):
        raise Unreadable(node.mark, 'a message is {"role": …, "content": …}')
    fields = node.value
    role = fields.get("role")
    name = ROLES.get(str(role.value)) if role else None
    if role is None or name is None:
        given = "no role" if role is None else f"the role {role.value!r}"
        raise Unreadable((role or node).mark, f"a message has {given}; one of {', '.join(ROLES)}")
    if (calls := fields.get("tool_calls")) and calls.value:
        raise Unreadable(calls.mark, "tool_calls: tools are not called here")
    content = fields.get("content")
    if content is None:
        raise Unreadable(node.mark, "a message has no content")
    return Message(name, _content(content), _reasoning(fields) if name == "assistant" else "")


def _content(node: Node) -> str:
    """A text, or a list of parts that are texts."""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, list):
        return "".join(map(_part, node.value))
    raise Unreadable(node.mark, "content: not text")


def _part(node: Node) -> str:
    fields = node.value if isinstance(node.value, dict) else {}
    kind = fields.get("type")
    text = fields.get("text") or fields.get("refusal")
    if kind is None or kind.value not in PARTS or text is None or not isinstance(text.value, str):
        given = repr(kind.value) if kind else "a part without a type"
        raise Unreadable(node.mark, f"content: {given}; only text is read here")
    return text.value


def _reasoning(fields: Mapping[str, Node]) -> str:
    for name in REASONING:
        if name in fields and isinstance(text := fields[name].value, str):
            return text
    return ""
