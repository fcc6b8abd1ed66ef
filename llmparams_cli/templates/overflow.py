"""Refuses a prompt that is longer than the context, or shortens it if the user chose that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Message
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.utf8 import whole

ROOM = 4  # truncation leaves a quarter of the context for the answer


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
    """Encode the messages so that the prompt fits into `size` tokens, with room for `answer`
    tokens, or for one if the answer's length is unknown.

    With `overflow` 'truncate-start' or 'truncate-middle', tokens are taken out of the last
    message until the answer has room: if its length is unknown, a quarter of the context or
    `max_tokens`, whichever is less. 'refuse' raises ContextOverflow.
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
    message, count = model.tokenize(messages[-1].content, goes_on=True), len(tokens)
    dropped = 0
    # The shortened text may tokenise into more tokens than were kept of it: cut until it fits.
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
    # A cut between tokens may be one inside a character.
    return whole(b"".join(map(model.piece, kept)))


def _larger_context(needed: int, trained: int) -> str:
    """Suggest a multiple of 512 that leaves the answer at least 512 tokens, if the model was
    trained on that many.
    """
    size = (needed + 1023) // 512 * 512
    if needed >= trained:
        return f"--context {size} makes room, but the model was trained on only {trained}"
    return f"--context {min(size, trained)} makes room"
