"""How differently two settings draw, along one and the same text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.decoding.generate import Engine, draw_seed
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native.handles import Context
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Divergence, Message, Stop, StopReason


def along(
    engine: Engine, messages: tuple[Message, ...], one: Settings, other: Settings, tokens: int
) -> Iterator[Divergence]:
    """Draw up to `tokens` tokens with `one`; at each, compare with how `other` would draw.

    Grammars do not count: they are no part of the distribution.
    """
    import numpy as np

    model, seed = engine.model, draw_seed(one)
    prompt, _ = engine.tokens(messages)
    size = placement.context_size(engine.env, one, engine.header)
    params = placement.context_params(one, size, engine.interrupt)
    with (
        closing(Context(model, params, size)) as context,
        closing(Sampler(model, one, seed, size, prompt=prompt)) as first,
        closing(Sampler(model, other, seed, size, prompt=prompt)) as second,
    ):
        branch = Branch(first)
        for [(_, row)] in decode(context, [Group(prompt, [branch])]):
            logits = context.logits(row)
            ours, theirs = first.distribution(logits), second.distribution(logits)
            drawn = first.sample(context, row)
            assert drawn is not None, "only a grammar ends a draw"
            second.accept(drawn)
            best = [(int(p.argmax()), float(p.max())) for p in (ours, theirs)]
            yield Divergence(
                model.name(drawn),
                float(np.abs(ours - theirs).sum() / 2),
                tuple((model.name(token), p) for token, p in best),
            )
            branch.tokens.append(drawn)
            if model.ends_generation(drawn) or len(branch.tokens) >= tokens:
                branch.stop = Stop(StopReason.MAX_TOKENS, "")
