"""The data of the page for `compare`: variants and their answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.comparison import (
    UNPICTURED,
    Fork,
    Sample,
    Variant,
    forks,
    side_by_side,
)
from llmparams_cli.params.settings import Settings, label
from llmparams_cli.protocol import Token
from llmparams_cli.render.html.draws import Recorded, answer, pieces, short
from llmparams_cli.render.summary import stop_text
from llmparams_cli.text.safe import printable, spelled
from llmparams_cli.text.shorten import ending
from llmparams_cli.text.utf8 import completed

BEFORE = 49  # characters before a fork


def document(
    variants: Sequence[Variant], settings: Sequence[Settings], model: str, recorded: Recorded
) -> dict[str, Any]:
    """All data of the page. A round is one answer by every variant to the same prompt."""
    samples = [sample for variant in variants for sample in variant.samples]
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    written = {str(token.id): token.text for sample in samples for token in sample.finished.tokens}
    return {
        "model": model,
        "variants": [_variant(variant) for variant in variants],
        "metrics": list(variants[0].means()),
        "unpictured": list(UNPICTURED),
        "settings": _settings(settings),
        "prompts": prompts,
        "rounds": [
            {
                "prompt": prompts.index(row[0].prompt),
                "answers": [_answer(sample, recorded) for sample in row],
                "forks": [_fork(fork) for fork in forks([s.finished.tokens for s in row])],
            }
            for row in side_by_side(variants)
        ],
        "pieces": written | pieces(s.explanation for s in samples if s.explanation),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "values": variant.values,
        "means": _numbers(variant.means()),
        "stops": variant.stops(),
    }


def _settings(settings: Sequence[Settings]) -> list[dict[str, Any]]:
    """The settings that any variant sets, with all variants' values. Seeds are shown elsewhere."""
    rows = zip(*settings, strict=True)
    found = [
        (row[0].name, row)
        for row in rows
        if row[0].name != "seed" and not all(each.is_default for each in row)
    ]
    for row in zip(*(each.thinking for each in settings), strict=True):
        if any(each.when_thinking for each in row):
            found.append((label(row[0].param.name, True), row))
    return [
        {"name": name, "values": [each.param.kind.show(each.value) for each in row]}
        for name, row in found
    ]


def _answer(sample: Sample, recorded: Recorded) -> dict[str, Any]:
    """One answer. `tokens` are ids with their probabilities in the model's own distribution;
    if the answer `ended` with an end token, that is the last one. `data` are its draws, if they
    were recorded; `thoughts` are the indices of tokens that are no part of the text. `completed`
    maps the index of a token that is only part of a character to what it adds to the text.
    """
    finished, explanation = sample.finished, sample.explanation
    tokens = [[token.id, _probability(token)] for token in finished.tokens]
    thoughts = [place for place, token in enumerate(finished.tokens) if token.is_thought]
    end = explanation.tokens[-1] if explanation and explanation.tokens else None
    if end and end.is_end:
        tokens.append([end.id, short(end.probability(end.model) or 0.0)])
    return {
        "seed": sample.seed,
        "stop": stop_text(finished.stop),
        "metrics": _numbers(sample.metrics),
        "tokens": tokens,
        "thoughts": thoughts,
        "completed": _completed(finished.tokens),
        "ended": bool(end and end.is_end),
        "data": explanation and answer(explanation, recorded),
    }


def _completed(tokens: Sequence[Token]) -> dict[str, str]:
    texts = [token.text for token in tokens]
    added = enumerate(zip(texts, completed(texts), strict=True))
    return {str(place): now for place, (text, now) in added if now != text}


def _fork(fork: Fork) -> dict[str, Any]:
    return {
        "number": fork.number,
        "before": _end(fork.before),
        "depth": fork.depth,
        "branches": [
            [
                branch.token and branch.token.id,
                branch.token and _probability(branch.token),
                list(branch.answers),
            ]
            for branch in fork.branches
        ],
    }


def _end(text: str) -> str:
    """The last characters of the text before a fork."""
    return ending(printable(spelled(text)), BEFORE)


def _probability(token: Token) -> float | None:
    return None if token.logprob is None else short(math.exp(token.logprob))


def _numbers(metrics: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else short(value) for name, value in metrics.items()}
