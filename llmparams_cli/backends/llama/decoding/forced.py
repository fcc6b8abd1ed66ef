"""A given text as the answer: the logits from which each of its tokens would be drawn."""

from __future__ import annotations

from contextlib import closing

from llmparams_cli.backends.llama.decoding.generate import Engine
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native.handles import Context
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Request


def force(
    engine: Engine, request: Request, text: str, recording: Recording
) -> tuple[list[int], int]:
    """Run prompt and text through the model; record a row for each of the text's tokens.

    Returns the prompt's token ids and the size of the context.
    """
    prompt, _ = engine.tokens(request.messages, raw=request.raw)
    wanted = engine.model.tokenize(text)
    size = placement.context_size(engine.env, request.settings, engine.header)
    if len(prompt) + len(wanted) > size:
        raise ContextOverflow(
            f"prompt and target have {len(prompt) + len(wanted)} tokens and the context holds "
            f"{size}",
            "--context makes room",
        )
    params = placement.context_params(request.settings, size, engine.interrupt)
    with closing(Context(engine.model, params, size)) as context:
        row, place = context.prefill(prompt, lambda _done: None), len(prompt)
        last = (len(prompt) - 1) % context.batch_size
        for token in wanted:
            if not row:
                raise KeyboardInterrupt
            recording.add(context.logits(last))
            recording.drawn.append(token)
            row, last = context.decode([(token, place, 0)], [0]), 0
            place += 1
    return prompt, size
