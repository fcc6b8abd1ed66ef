"""The body of a request: what it asks for."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import thinking, vllm_request
from llmparams_cli.formats.common import Entries
from llmparams_cli.formats.draft import Draft
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.presets.nodes import Node, Unreadable
from llmparams_cli.rows.asked import Asked
from llmparams_cli.rows.messages import messages_of

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
# What would give another answer than the one that is asked for, but for these values.
NOT_HERE: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "functions": ([],),
    "suffix": ("",),
    "best_of": (1,),
    "echo": (False,),
    "modalities": (["text"],),
    "audio": (),
}
MOST_LOGPROBS = 100


def read(node: Node, url: str, place: str) -> Asked:
    """Read a body for this address; raises Unreadable."""
    if not isinstance(node.value, dict):
        raise Unreadable(node.mark, "body: not an object")
    entries = dict(node.value)
    draft = _Body(place, "OpenAI")
    extra = entries.pop(vllm_request.EXTRA, None)
    if extra and extra.value is not None:
        entries = draft.mapping(vllm_request.EXTRA, extra) | entries
    _refuse_others(entries)
    model = draft.text("model", entries.pop("model", None)) or ""
    is_chat = url == CHAT
    messages = entries.pop("messages", None) if is_chat else None
    prompt = None if is_chat else _prompt(entries.pop("prompt", None), node)
    if is_chat and messages is None:
        raise Unreadable(node.mark, "body: there are no messages")
    logprobs = _logprobs(draft, entries)
    thinking.take_reasoning(draft, entries)
    vllm_request.take(draft, entries)
    draft.leave(entries)
    origin = Origin(Source.ROW, "", place, node.mark.line)
    return Asked(
        prompt=prompt,
        messages=messages_of(messages) if messages else (),
        raw=not is_chat,
        assignments=tuple(Assignment(k, v, origin) for k, v in draft.values.items()),
        logprobs=logprobs,
        model=model,
        notes=tuple(f"{loss.what}: {loss.reason}" for loss in draft.losses),
    )


class _Body(Draft):
    """Its errors are those of a row."""

    def error(self, node: Node, reason: str) -> Exception:
        return Unreadable(node.mark, reason)


def _refuse_others(entries: Entries) -> None:
    """Raise Unreadable for what cannot be done."""
    for key, harmless in NOT_HERE.items():
        node = entries.pop(key, None)
        if node is not None and node.plain() not in (None, *harmless):
            raise Unreadable(node.mark, f"{key}: this is not done here")
    count = entries.get("n")
    if count is not None and count.value not in (None, 1):
        raise Unreadable(count.mark, "n: a row has one answer; write a row for each")


def _prompt(node: Node | None, body: Node) -> str:
    """The prompt of a completion; a list may hold one."""
    if node is not None and isinstance(node.value, list) and len(node.value) == 1:
        node = node.value[0]
    if node is None or not isinstance(node.value, str):
        raise Unreadable((node or body).mark, "prompt: not one text")
    return node.value


def _logprobs(draft: Draft, entries: Entries) -> int | None:
    """How many alternatives are wanted: chats have a switch beside the number."""
    switch, top = entries.pop("logprobs", None), entries.pop("top_logprobs", None)
    if switch is None or switch.value in (None, False):
        return None
    given: Any = 0 if switch.value is True else switch.value
    node = switch
    if top is not None and top.value is not None:
        given, node = top.value, top
    if type(given) is not int or not 0 <= given <= MOST_LOGPROBS:
        raise draft.error(node, f"top_logprobs: a whole number up to {MOST_LOGPROBS}")
    return given
