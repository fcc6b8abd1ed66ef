"""`llmparams evaluate --text`: how well models predicted a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.analysis.perplexity import TextResult, TextScore
from llmparams_cli.env import Environment
from llmparams_cli.protocol import ModelInfo
from llmparams_cli.render.divergence import divergence_object, show_divergence
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line, spelled
from llmparams_cli.text.utf8 import escaped

HEAD = ("model", "perplexity", "error", "bits/byte", "bits/token", "tokens", "tokens/s")
NOTES = (
    "perplexity   how many equally likely tokens the model hesitated between; lower is better",
    "error        its standard error, as llama-perplexity has it",
    "bits/byte    compares models with different tokenizers, which perplexity does not",
)


def show(
    env: Environment,
    results: Sequence[TextResult],
    against: Sequence[Beside] = (),
    *,
    color: str,
) -> None:
    """Print a line for each model, the one that predicts the text best first; and what became of
    those that are measured `against` another.
    """
    view = View(env, color)
    named = names([each.model for each in results])
    ordered = sorted(results, key=lambda each: each.score.bits_per_byte)
    view.table(HEAD, [(named[each.model], *_numbers(each)) for each in ordered])
    for each in against:
        view.line()
        show_divergence(view, each, named[each.base.model], named[each.other.model])
    view.line()
    for note in (*NOTES, _method(results[0])):
        view.line(note, DIM)


def show_json(
    env: Environment,
    results: Sequence[TextResult],
    against: Sequence[Beside] = (),
    *,
    tokens: bool,
) -> None:
    """Print all numbers; with `tokens`, every scored token with its log probability."""
    document = _text_object(results, tokens=tokens)
    if against:
        document["against"] = [
            {"base": each.base.model.path, "model": each.other.model.path} | divergence_object(each)
            for each in against
        ]
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _text_object(results: Sequence[TextResult], *, tokens: bool) -> dict[str, Any]:
    first = results[0].plan
    return {
        "chunk": first.size,
        "strided": first.is_strided,
        "models": [_model(each, tokens=tokens) for each in results],
    }


def names(models: Sequence[ModelInfo]) -> dict[ModelInfo, str]:
    """The names under which the models were found, or else what they call themselves; of those that
    share that the names of their files, or if they share these, too, their paths.
    """
    own = Counter(each.name for each in {*models})
    files = Counter(Path(each.path).name for each in {*models})

    def of(model: ModelInfo) -> str:
        if own[model.name] == 1:
            return model.name
        file = Path(model.path).name
        return file if files[file] == 1 else model.path

    return {each: one_line(each.known_as or of(each)) for each in models}


def _numbers(result: TextResult) -> tuple[str, ...]:
    score = result.score
    return (
        f"{score.perplexity:.4f}",
        f"± {score.error:.4f}",
        f"{score.bits_per_byte:.4f}",
        f"{score.bits_per_token:.4f}",
        f"{score.tokens:,}",
        f"{result.speed:.0f}",
    )


def _method(result: TextResult) -> str:
    plan, rest = result.plan, result.unread
    kind = "each token with at least half a chunk before it" if plan.is_strided else "second halves"
    left = f"; the last {rest:,} tokens are not read" if rest else ""
    count = len(plan.chunks)
    return f"{count} chunk{'s' * (count > 1)} of {plan.size} tokens, {kind} counted{left}"


def _model(result: TextResult, *, tokens: bool) -> dict[str, Any]:
    document = {
        "model": model_object(result.model),
        **_score(result.score),
        "text_tokens": len(result.text.ids),
        "seconds": rounded(result.seconds),
        "chunks": [_score(score) for score in result.scores],
    }
    return document | ({"tokens": list(_tokens(result))} if tokens else {})


def model_object(model: ModelInfo) -> dict[str, Any]:
    """The model in reports of what it scored."""
    return {"path": model.path, "name": model.name, "quantization": model.quantization}


def _score(score: TextScore) -> dict[str, Any]:
    return {
        "perplexity": rounded(score.perplexity),
        "error": rounded(score.error),
        "bits_per_byte": rounded(score.bits_per_byte) if score.bytes else None,
        "bits_per_token": rounded(score.bits_per_token),
        "tokens": score.tokens,
        "bytes": score.bytes,
    }


def _tokens(result: TextResult) -> Iterator[dict[str, Any]]:
    for places, logprobs in zip(result.plan.places, result.logprobs, strict=True):
        for place, logprob in zip(places, logprobs, strict=True):
            text = spelled(escaped(result.text.pieces[place]))
            yield {
                "place": place,
                "id": result.text.ids[place],
                "text": text,
                "logprob": rounded(float(logprob)),
            }
