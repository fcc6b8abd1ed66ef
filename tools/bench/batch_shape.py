"""How far do log-probabilities move with what else is in a batch?

    python tools/bench/batch_shape.py MODEL...

Prints the table of docs/compare.md. Each of 17 prompts is read alone, and then in company or cut
into other pieces; its answer of 12 tokens is the same every time. What is measured is the largest
difference of the log-probability of any of these tokens. `llama.cpp` is its C API with its own
defaults, prompts in as large calls as it takes; `llmparams` is this program.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, takewhile
from typing import Any

from llmparams_cli.backends.llama.backend import LlamaBackend
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import GgufModel, find_model
from llmparams_cli.params.settings import DEFAULT, Assignment, resolve
from llmparams_cli.protocol import Finished, Message, Request, Token

ANSWER = 12  # tokens
COMPANY = (2, 8, 16)
SIZE = 256  # cells of a sequence
TEXT = """A lighthouse keeper counted the ships that passed, and wrote the number into a book. On
some days there were twelve, on others none at all. When the fog came down from the hills he rang
the bell twice a minute, and whoever was at sea could tell from its sound how far the rocks were.
His daughter learned to read from that book. She asked why the number of ships grew smaller every
year, and he said that the large ones carried more, and that the small ones had gone to look for
fish elsewhere. In winter they mended nets, painted the door, and listened to the radio, which gave
the height of the waves, the strength of the wind, and the price of herring in three harbours. """
SETTINGS = resolve(
    Assignment(name, value, DEFAULT)
    for name, value in {
        "temperature": 0.0,
        "max_tokens": ANSWER,
        "ignore_eos": True,
        "threads": 1,
    }.items()
)
Logprobs = list[float]
Text = tuple[list[int], list[int]]  # a prompt and its answer


def main(paths: Sequence[str]) -> None:
    """Print a table for the models."""
    env = Environment(quiet=True)
    for path in paths:
        model = find_model(path, env)
        assert isinstance(model, GgufModel)
        print(f"{model.name}, {model.header.quantization}")
        for what, moved in measured(env, model):
            print(f"  {what:<40} {moved:.3g}", flush=True)


def measured(env: Environment, resolved: GgufModel) -> Iterator[tuple[str, float]]:
    """What was changed, and the largest difference that it made."""
    texts = prompts()
    with (
        Control() as control,
        closing(LlamaBackend(env, resolved, SETTINGS, control, lambda *_: None, 1)) as backend,
    ):
        answers = [answered(backend, [text])[0] for text in texts]
        for others in COMPANY:
            together = in_company(others, partial(beside, backend, texts))
            pairs = [*zip(answers, together, strict=True)]
            moved = largest(*zip(*(logprobs(*pair) for pair in pairs), strict=True))
            yield f"llmparams, beside {others} others", moved
            yield "    other texts", sum(ids(one) != ids(two) for one, two in pairs)
    params = placement.model_params(env, SETTINGS, resolved.header, 0, lambda _: True)
    with closing(Model(resolved.path, params)) as model:
        both = [
            (model.tokenize(text, begin=True), [token.id for token in answer])
            for text, answer in zip(texts, answers, strict=True)
        ]
        alone = [forced(model, [each])[0] for each in both]
        cut = [forced(model, [each], 64)[0] for each in both]
        yield "llama.cpp, prompt in pieces of 64", largest(alone, cut)
        for shared, cells in ((False, "own cells"), (True, "shared cells")):
            for others in COMPANY:
                run = partial(company, model, both, shared)
                yield (
                    f"llama.cpp, beside {others} others, {cells}",
                    largest(alone, in_company(others, run)),
                )


def company(
    model: Model, texts: Sequence[Text], shared: bool, group: Sequence[int]
) -> list[Logprobs]:
    """`forced` for those with the numbers of a group."""
    return forced(model, [texts[number] for number in group], shared=shared)


def prompts() -> list[str]:
    """17 texts of 20 to 120 words, with different beginnings."""
    words = TEXT.split() * 4
    lengths = [20 + 40 * number % 101 for number in range(max(COMPANY) + 1)]
    return [" ".join(words[7 * n :][:length]) for n, length in enumerate(lengths)]


def in_company(others: int, run: Callable[[Sequence[int]], list[Any]]) -> list[Any]:
    """What `run` gives for each prompt beside so many others, in as few groups as possible."""
    count = len(prompts())
    found: dict[int, Any] = {}
    for start in range(0, count, others + 1):
        group = [(start + place) % count for place in range(others + 1)]
        found |= dict(zip(group, run(group), strict=True))
    return [found[number] for number in range(count)]


def answered(backend: LlamaBackend, texts: Sequence[str]) -> list[tuple[Token, ...]]:
    """The tokens of this program's answers."""
    requests = [Request((Message("user", text),), SETTINGS, raw=True, logprobs=0) for text in texts]
    events = [(n, event) for n, event in backend.answer(requests) if isinstance(event, Finished)]
    return [event.tokens for _, event in sorted(events, key=lambda each: each[0])]


def beside(
    backend: LlamaBackend, texts: Sequence[str], group: Sequence[int]
) -> list[tuple[Token, ...]]:
    """`answered` for those with the numbers of a group."""
    return answered(backend, [texts[number] for number in group])


def ids(answer: Sequence[Token]) -> list[int]:
    """Of its tokens."""
    return [token.id for token in answer]


def logprobs(one: Sequence[Token], two: Sequence[Token]) -> tuple[Logprobs, Logprobs]:
    """Of the tokens of two answers, up to where the texts part."""
    same = [*takewhile(lambda pair: pair[0].id == pair[1].id, zip(one, two, strict=True))]
    return [a.logprob or 0.0 for a, _ in same], [b.logprob or 0.0 for _, b in same]


def forced(
    model: Model, texts: Sequence[Text], piece: int = SIZE, *, shared: bool = False
) -> list[Logprobs]:
    """Log-probabilities of given answers behind their prompts, which are read together (one alone
    in calls of `piece` tokens); then all answers, token by token.
    """
    size = len(texts) * SIZE
    params = placement.context_params(SETTINGS, size, len(texts), shared=shared)
    params.n_batch = size
    rows = [
        (token, place, sequence)
        for sequence, (prompt, _) in enumerate(texts)
        for place, token in enumerate(prompt)
    ]
    ends = [row for row, (_, place, n) in enumerate(rows) if place == len(texts[n][0]) - 1]
    with closing(Context(model, params, size)) as context:
        step = piece if len(texts) == 1 else len(rows)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            last = [end - start for end in ends if start <= end < start + step]
            context.decode(part, last)
        found = [
            [logprob(context, row, answer[0])] for row, (_, answer) in zip(last, texts, strict=True)
        ]
        for place in range(ANSWER - 1):
            batch = [
                (answer[place], len(prompt) + place, sequence)
                for sequence, (prompt, answer) in enumerate(texts)
            ]
            context.decode(batch, range(len(batch)))
            for row, (_, answer) in enumerate(texts):
                found[row].append(logprob(context, row, answer[place + 1]))
    return found


def logprob(context: Context, row: int, token: int) -> float:
    """Of a token, in the model's own distribution."""
    import numpy as np

    logits = np.ctypeslib.as_array(context.logits(row), (context.model.n_vocab,)).astype(float)
    most = float(logits.max())
    return float(logits[token]) - most - math.log(float(np.exp(logits - most).sum()))


def largest(some: Iterable[Logprobs], others: Iterable[Logprobs]) -> float:
    """The largest difference of a token's log-probability."""
    pairs = zip(chain(*some), chain(*others), strict=True)
    return max(abs(one - other) for one, other in pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
