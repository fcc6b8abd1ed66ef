"""The messages of a conversation, in their order."""

from __future__ import annotations

from llmparams_cli.protocol import Message


def conversation(system: str, *turns: Message) -> tuple[Message, ...]:
    """What a model gets to read: the system text, if there is one, and the turns."""
    return (Message("system", system), *turns) if system else turns
