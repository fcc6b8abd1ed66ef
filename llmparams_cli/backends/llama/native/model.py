"""A loaded model: its weights and its vocabulary."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.native import named_templates
from llmparams_cli.backends.llama.native.crash import during
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.native.tokenizing import tokenize
from llmparams_cli.errors import BackendError, ExitCode, LlmparamsError, ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.text.safe import spelled
from llmparams_cli.text.utf8 import escaped

# LLAMA_TOKEN_ATTR_UNKNOWN and _CONTROL: what llama_tokenize reads only with parse_special
ATTR_SPECIAL = 1 << 0 | 1 << 3
ATTR_USER_DEFINED = 1 << 4
# Special tokens for which llama.cpp has no function.
ONLY_IN_FILE = {
    "unk": "tokenizer.ggml.unknown_token_id",
    "cls": "tokenizer.ggml.cls_token_id",
}
# Texts of which one at least makes no token together with whatever follows.
BEFORE = ("\n", "!", "a", "0")


class Model:
    """Weights and vocabulary. `params` is a llama_model_params."""

    def __init__(self, path: Path, params: Any) -> None:
        lib = llama()
        self.path = path
        log.clear()
        with during(f"loading {path}", ExitCode.MODEL):
            self.handle = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise _refusal(path, log.complaint())
        self.vocab = lib.llama_model_get_vocab(self.handle)
        self.n_vocab: int = lib.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes] = {}  # each is asked for again and again

    @cached_property
    def keeps_states(self) -> bool:
        """Has it a state for every sequence, beside attention or in place of it?"""
        lib = llama()
        recurrent = lib.llama_model_is_recurrent(self.handle)
        return bool(recurrent or lib.llama_model_is_hybrid(self.handle))

    @cached_property
    def trained_context(self) -> int:
        return int(llama().llama_model_n_ctx_train(self.handle))

    def tokenize(
        self, text: str, *, special: bool = False, begin: bool = False, goes_on: bool = False
    ) -> list[int]:
        """Token ids of `text`. `special` reads the names of control tokens as such; `begin` adds
        BOS and EOS where the vocabulary asks for them.

        A text that `goes_on` continues another one. Many SentencePiece vocabularies put a space
        before every text, which is wrong in the middle of one.
        """
        if not goes_on or not text or not self._puts_space:
            return self._tokenize(text, special, begin)
        # llama.cpp cannot be told. Behind another text it puts no space; what that text came to is
        # cut off again, which is right where no token spans both.
        for before in BEFORE:
            first = self._tokenize(before, special, False)
            both = self._tokenize(before + text, special, False)
            if both[: len(first)] == first:
                return both[len(first) :]
        return self._tokenize(text, special, begin)

    @cached_property
    def _puts_space(self) -> bool:
        first = self._tokenize("a", False, False)[:1]
        return bool(first) and self.piece(first[0]).startswith(b" ")

    def _tokenize(self, text: str, special: bool, begin: bool) -> list[int]:
        return tokenize(self.vocab, text, special=special, begin=begin)

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for in an answer (detokenised); none for control tokens."""
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._to_piece(token, special=False)
        return piece

    def name(self, token: int) -> str:
        """How to show `token` to people: a control token by its name, parts of characters as their
        bytes.
        """
        return spelled(self.text(token))

    def text(self, token: int) -> str:
        """The same, but parts of characters escaped so that `utf8.joined` can put them together."""
        return escaped(self._to_piece(token, special=True))

    def _to_piece(self, token: int, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama().llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count  # what the token needs

    def marked_pieces(self, mark: bytes) -> list[bytes]:
        """The bytes of every token. What stands for no text, as control tokens do, is the `mark`
        and its name.
        """
        lib, size = llama(), 4096
        buffer = ctypes.create_string_buffer(size)
        view = memoryview(buffer)
        kinds = map(lib.llama_vocab_get_attr, repeat(self.vocab), range(self.n_vocab))
        pieces = []
        for token, kind in enumerate(kinds):
            count = lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, True)
            piece = bytes(view[:count]) if count >= 0 else self._to_piece(token, special=True)
            pieces.append(mark + piece if kind & ATTR_SPECIAL or not piece else piece)
        return pieces

    def is_control(self, token: int) -> bool:
        return bool(llama().llama_vocab_get_attr(self.vocab, token) & ATTR_SPECIAL)

    def is_user_defined(self, token: int) -> bool:
        """Is it read in every text, control tokens allowed or not?"""
        return bool(llama().llama_vocab_get_attr(self.vocab, token) & ATTR_USER_DEFINED)

    def ends_generation(self, token: int) -> bool:
        return bool(llama().llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def end_tokens(self) -> list[int]:
        """All tokens that end a generation (EOS, EOT, …)."""
        ends = map(llama().llama_vocab_is_eog, repeat(self.vocab), range(self.n_vocab))
        return [token for token, is_end in enumerate(ends) if is_end]

    @cached_property
    def end_token(self) -> int | None:
        """EOS: what a text ends with."""
        token = int(llama().llama_vocab_eos(self.vocab))
        return token if token >= 0 else None

    @cached_property
    def suppressed_tokens(self) -> list[int]:
        """Tokens that the model's file says must never be generated."""
        count = ctypes.c_int32()
        tokens = llama().llama_vocab_get_suppress_tokens(self.vocab, ctypes.byref(count))
        return tokens[: count.value] if count.value else []

    @cached_property
    def begin_token(self) -> int | None:
        """BOS, when the vocabulary says that every text begins with it."""
        lib = llama()
        token = int(lib.llama_vocab_bos(self.vocab))
        return token if token >= 0 and lib.llama_vocab_get_add_bos(self.vocab) else None

    @cached_property
    def adds_end(self) -> bool:
        """Does the vocabulary say that every text ends with EOS?"""
        return bool(llama().llama_vocab_get_add_eos(self.vocab))

    def named_template(self, name: str, messages: Sequence[Message], *, prompt: bool = True) -> str:
        """What one of llama.cpp's own chat templates makes of messages: a prompt, or they alone."""
        return named_templates.apply(name, messages, prompt=prompt)

    def special_text(self, which: str) -> str:
        """The text of 'bos', 'eos', 'sep', 'pad', 'mask', 'unk' or 'cls'; empty without one."""
        if key := ONLY_IN_FILE.get(which):
            token = self._number(key)
        else:
            token = getattr(llama(), f"llama_vocab_{which}")(self.vocab)
        return self.name(token) if 0 <= token < self.n_vocab else ""

    def _number(self, key: str) -> int:
        """A number in the file's metadata; -1 if there is none."""
        buffer = ctypes.create_string_buffer(32)
        size = llama().llama_model_meta_val_str(self.handle, key.encode(), buffer, len(buffer))
        return int(buffer.value) if size > 0 and buffer.value.isdigit() else -1

    @cached_property
    def control_texts(self) -> list[str]:
        """The texts of all control tokens, in their order."""
        return [self.name(token) for token in range(self.n_vocab) if self.is_control(token)]

    def close(self) -> None:
        if self.handle:
            llama().llama_model_free(self.handle)
            self.handle = None


def _refusal(path: Path, complaint: str) -> LlmparamsError:
    if "allocate" in complaint:
        return BackendError(
            f"no memory for {path}: {complaint}",
            "a smaller or more quantised model, or fewer --gpu-layers",
        )
    return ModelError(f"{path}: llama.cpp cannot load it: {complaint}")
