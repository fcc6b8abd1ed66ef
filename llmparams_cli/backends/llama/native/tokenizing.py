"""The call of llama_tokenize, on a stack that is deep enough for it."""

from __future__ import annotations

import ctypes
import re
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.constraints.stack import with_stack
from llmparams_cli.errors import BackendError, UsageError

# Many vocabularies are split by std::regex, which calls itself for every character of a run such
# as "aaaa…", 300 bytes each: 27,000 of them are the end of a usual stack of 8 MB.
RUN = re.compile(rb"\s+|\S+")  # no token is longer, but for a blank or two
STACK_PER_BYTE = 512
SHORT_RUN = 2_000  # bytes that any stack is deep enough for
LARGEST_STACK = 1 << 32  # only what is used of it takes memory


def tokenize(vocabulary: Any, text: str, *, special: bool, begin: bool) -> list[int]:
    """The token ids of a text; see llama_tokenize in llama.h. Raises UsageError for a text with
    millions of bytes that no blank separates.
    """
    data = text.encode("utf-8", "surrogatepass")
    longest = len(data)
    if longest > SHORT_RUN:
        longest = max(match.end() - match.start() for match in RUN.finditer(data))
    if longest <= SHORT_RUN:
        return _call(vocabulary, data, special, begin)
    stack = longest * STACK_PER_BYTE + (1 << 24)
    if stack > LARGEST_STACK:
        raise UsageError(
            f"a text has {longest:,} bytes in a row without a blank", "llama.cpp cannot split it"
        )
    return with_stack(stack, lambda: _call(vocabulary, data, special, begin))


def _call(vocabulary: Any, data: bytes, special: bool, begin: bool) -> list[int]:
    room = len(data) + 2
    while True:
        tokens = (ctypes.c_int32 * room)()
        count = llama().llama_tokenize(vocabulary, data, len(data), tokens, room, begin, special)
        if count >= 0:
            return tokens[:count]
        if -count <= room:
            raise BackendError(f"llama_tokenize failed on {len(data)} bytes of text")
        room = -count  # what it needs
