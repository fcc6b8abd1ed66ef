"""Refuses a prompt that is longer than the context, or shortens it if the user chose that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.rendering import Prompt
from llmparams_cli.templates.vocabulary import Vocabulary
from llmparams_cli.text.utf8 import whole

ROOM = 4  # truncation leaves a quarter of the context for the answer


def fitting(
    model: Vocabulary,
    request: Request,
    encode: Callable[[Request], Prompt],
    *,
    size: int,
    note: Callable[[str], None],
    answer: int | None = None,
) -> Prompt:
    """Encode the request so that the prompt fits into `size` tokens, with room for `answer` tokens,
    or for one if the answer's length is unknown.

    With an `overflow` of 'truncate-start' or 'truncate-middle', tokens are taken out of the last
    message until the answer has room: if its length is unknown, a quarter of the context or
    `max_tokens`, whichever is less. 'refuse' raises ContextOverflow.
    """
    prompt = encode(request)
    count = len(prompt.tokens)
    if count + (answer or 1) <= size:
        return prompt
    if request.overflow == "refuse":
        raise ContextOverflow(
            f"the prompt has {count} tokens and the context holds {size}",
            _larger_context(count, model.trained_context)
            + "; --overflow truncate-start or truncate-middle shortens the prompt",
        )
    limit: int = request.settings["max_tokens"]
    target = size - (answer or min(size // ROOM, limit if limit > 0 else size))
    *others, last = request.messages
    message = _pieces(model, last, request.special)
    most = sum(piece.is_text for piece in message)
    dropped = 0
    # The shortened text may tokenise into more tokens than were kept of it: cut until it fits.
    while len(prompt.tokens) > target:
        dropped += len(prompt.tokens) - target
        if dropped > most:
            raise ContextOverflow(
                f"the prompt's fixed part alone has {count - most} tokens and the context "
                f"holds {size}",
                "--context makes room; a shorter system text helps too",
            )
        shorter = _cut(last, message, dropped, request.overflow)
        prompt = encode(replace(request, messages=(*others, shorter)))
    beside = f", the target has {answer}" if answer else ""
    where = "start" if request.overflow == "truncate-start" else "middle"
    note(
        f"the prompt had {count} tokens{beside} and the context holds {size}: "
        f"{dropped} tokens were dropped from its {where}"
    )
    return prompt


@dataclass(frozen=True)
class _Piece:
    """A token of a message; only those that are text may be dropped."""

    data: bytes
    is_literal: bool
    is_text: bool = True


def _pieces(model: Vocabulary, message: Message, special: bool) -> list[_Piece]:
    found = []
    for text, is_literal in message.runs(special):
        for token in model.tokenize(text, special=not is_literal, goes_on=True):
            if not is_literal and model.is_control(token):
                found.append(_Piece(model.name(token).encode(), is_literal, is_text=False))
            else:
                found.append(_Piece(model.piece(token), is_literal))
    return found


def _cut(message: Message, pieces: Sequence[_Piece], drop: int, overflow: str) -> Message:
    """The message without `drop` of its pieces."""
    texts = [place for place, piece in enumerate(pieces) if piece.is_text]
    head = 0 if overflow == "truncate-start" else (len(texts) - drop) // 2
    dropped = {*texts[head : head + drop]}
    kept = (piece for place, piece in enumerate(pieces) if place not in dropped)
    content, literal = "", []
    for is_literal, run in groupby(kept, key=lambda piece: piece.is_literal):
        start = len(content)
        # A cut between tokens may be one inside a character.
        content += whole(b"".join(piece.data for piece in run))
        if is_literal:
            literal.append((start, len(content)))
    return replace(message, content=content, literal=tuple(literal))


def _larger_context(needed: int, trained: int) -> str:
    """Suggest a multiple of 512 that leaves the answer at least 512 tokens, if the model was
    trained on that many.
    """
    size = (needed + 1023) // 512 * 512
    if needed >= trained:
        return f"--context {size} makes room, but the model was trained on only {trained}"
    return f"--context {min(size, trained)} makes room"
