"""A prompt that is longer than the context: refused, or shortened by choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Message
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.utf8 import whole

ROOM = 4  # at least a quarter of the context is left for the answer after truncation


def fitting(
    model: Vocabulary,
    messages: Sequence[Message],
    encode: Callable[[Sequence[Message]], tuple[list[int], str]],
    *,
    size: int,
    max_tokens: int,
    overflow: str,
    note: Callable[[str], None],
    answer: int | None = None,
) -> tuple[list[int], str]:
    """Encode the messages so that at least one more token fits into `size`, or the `answer`,
    if its length is known.

    `overflow` 'truncate-start' or 'truncate-middle' takes tokens out of the last message
    until a quarter of the context, or `max_tokens`, is left for an answer that is not known.
    """
    tokens, text = encode(messages)
    if len(tokens) + (answer or 1) <= size:
        return tokens, text
    if overflow == "refuse":
        raise ContextOverflow(
            f"the prompt has {len(tokens)} tokens and the context holds {size}",
            _larger_context(len(tokens), model.trained_context)
            + "; --overflow truncate-start or truncate-middle shortens the prompt",
        )
    target = size - (answer or min(size // ROOM, max_tokens if max_tokens > 0 else size))
    message, count = model.tokenize(messages[-1].content), len(tokens)
    dropped = 0
    while len(tokens) > target:
        dropped += len(tokens) - target
        if dropped > len(message):
            raise ContextOverflow(
                f"the prompt's fixed part alone has {count - len(message)} tokens and the context "
                f"holds {size}",
                "--context makes room; a shorter system text helps too",
            )
        shorter = replace(messages[-1], content=_cut(model, message, dropped, overflow))
        tokens, text = encode([*messages[:-1], shorter])
    beside = f", the target has {answer}" if answer else ""
    where = "start" if overflow == "truncate-start" else "middle"
    note(
        f"the prompt had {count} tokens{beside} and the context holds {size}: "
        f"{dropped} tokens were dropped from its {where}"
    )
    return tokens, text


def _cut(model: Vocabulary, tokens: Sequence[int], drop: int, overflow: str) -> str:
    head = 0 if overflow == "truncate-start" else (len(tokens) - drop) // 2
    kept = [*tokens[:head], *tokens[head + drop :]]
    return whole(b"".join(map(model.piece, kept)))


def _larger_context(needed: int, trained: int) -> str:
    """A round size with at least 512 tokens for the answer, if the model can take it."""
    size = (needed + 1023) // 512 * 512
    if needed >= trained:
        return f"--context {size} makes room, but the model was trained on only {trained}"
    return f"--context {min(size, trained)} makes room"
