"""Puts the messages of a conversation in order."""

from __future__ import annotations

from llmparams_cli.protocol import Message


def conversation(system: str, *turns: Message) -> tuple[Message, ...]:
    """The messages that the model reads: the system text, if there is one, then the turns."""
    return (Message("system", system), *turns) if system else turns
