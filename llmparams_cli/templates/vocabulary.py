"""What this room needs from a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmparams_cli.protocol import Message


class Vocabulary(Protocol):
    """Converts text to token ids and back, and knows the control tokens."""

    @property
    def begin_token(self) -> int | None: ...

    @property
    def adds_end(self) -> bool: ...

    @property
    def trained_context(self) -> int: ...

    def tokenize(self, text: str, *, special: bool = False, goes_on: bool = False) -> list[int]: ...

    def piece(self, token: int) -> bytes: ...

    def name(self, token: int) -> str: ...

    def is_control(self, token: int) -> bool: ...

    def is_user_defined(self, token: int) -> bool: ...

    def special_text(self, which: str) -> str: ...

    @property
    def control_texts(self) -> list[str]: ...

    def named_template(
        self, name: str, messages: Sequence[Message], *, prompt: bool = True
    ) -> str: ...
