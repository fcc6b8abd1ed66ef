"""A chat to read elsewhere: Markdown for people, JSON for programs."""

from __future__ import annotations

import json

from llmparams_cli.protocol import StopReason
from llmparams_cli.records.chats.transcript import Transcript, Turn
from llmparams_cli.text.safe import escape_json, printable


def as_json(transcript: Transcript, name: str, model: str, system: str) -> str:
    """All messages in OpenAI's form, and how each answer ended."""
    messages: list[dict[str, object]] = []
    if system:
        messages.append({"role": "system", "content": system})
    for turn in transcript.turns:
        messages.append({"role": "user", "content": turn.said.sent, "in_view": turn.in_view})
        if answer := turn.answer:
            messages.append(
                {
                    "role": "assistant",
                    "content": answer.text,
                    **({"reasoning": answer.reasoning} if answer.reasoning else {}),
                    "in_view": turn.in_view,
                    "stop_reason": answer.stop.reason.value,
                    "seed": answer.seed,
                }
            )
    document = {
        "name": name,
        "model": model,
        "summary": transcript.summary or None,
        "messages": messages,
    }
    return escape_json(json.dumps(document, ensure_ascii=False, indent=2)) + "\n"


def as_markdown(transcript: Transcript, name: str, model: str, system: str) -> str:
    """A heading for each speaker; the texts unchanged, thoughts as quotations."""
    parts = [f"# {name or 'Chat'}", f"Model: {printable(model)}"]
    if system:
        parts += ["## System", printable(system)]
    for turn in transcript.turns:
        parts += [f"## User{_mark(turn)}", printable(turn.said.sent)]
        if answer := turn.answer:
            cut = " (interrupted)" if answer.stop.reason is StopReason.INTERRUPTED else ""
            thought = ["**Thoughts**", _quoted(answer.reasoning)] if answer.reasoning else []
            parts += [f"## Assistant{cut}", *thought, printable(answer.text)]
    return "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in printable(text).split("\n"))


def _mark(turn: Turn) -> str:
    return "" if turn.in_view else " (out of the model's view)"


FORMATS = {"md": as_markdown, "json": as_json}
