"""The chat templates that are built into llama.cpp, by name; they need no model."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message


@cache
def names() -> tuple[str, ...]:
    """The names of all of them."""
    lib = llama()
    count = lib.llama_chat_builtin_templates(None, 0)
    found = (ctypes.c_char_p * count)()
    lib.llama_chat_builtin_templates(found, count)
    return tuple(name.decode() for name in found if name)


def apply(name: str, messages: Sequence[Message], *, prompt: bool = True) -> str:
    """The messages in this template; with `prompt` up to where the assistant's answer begins.
    Raises ModelError for a name that llama.cpp does not know.
    """
    if name not in names():  # llama.cpp would guess
        raise ModelError(
            f"the model's chat template {name!r} is no Jinja, and llama.cpp has none of this name",
            "--chat-template takes another one",
        )
    zero = f"\ue000{os.urandom(8).hex()}\ue001"  # in C a text ends at a zero
    lib = llama()
    chat = (lib.llama_chat_message * len(messages))()
    for each, message in zip(chat, messages, strict=True):
        each.role = message.role.encode()
        each.content = message.content.replace("\0", zero).encode("utf-8", "surrogatepass")
    size = 1 << 12
    while True:
        buffer = ctypes.create_string_buffer(size)
        needed = lib.llama_chat_apply_template(name.encode(), chat, len(chat), prompt, buffer, size)
        if needed < 0:
            raise ModelError(f"llama.cpp's chat template {name!r} cannot write these messages")
        if needed <= size:
            text = buffer.raw[:needed].decode("utf-8", "surrogatepass")
            return text.replace(zero, "\0")
        size = needed
