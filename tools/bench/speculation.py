"""What does speculative decoding win?

    python tools/bench/speculation.py MODEL [--draft-model MODEL] [--rounds 3] [--threads N] [--cpu]

Prints the table of docs/speed.md. Each task is answered with and without drafts in turns, at
temperature 0; the ratio is the median of the rounds' own ratios, rates are of what comes after the
first token. The drafts are those of prompt lookup, or of the draft model. With --cpu, which wants
--threads 1, seconds are those of the processor, which other programs lengthen less.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.params.settings import DEFAULT, Assignment, Settings, resolve
from llmparams_cli.protocol import Backend, Finished, Message, Piece, Request

ARTICLE = """The lighthouse at Cape Veyra was built in 1874 from granite that was brought by sea
from the quarries of Lorn. Its tower is 41 metres high and has 212 steps. Until 1931 the lamp
burned paraffin, and two keepers took turns every four hours to wind the clockwork that turned the
lens. In that year an electric lamp was installed, and the second keeper was sent home. The last
keeper, Anna Holm, left the tower on 3 May 1988, when the light was made automatic. "I counted the
ships for twenty-six years," she said, "and I still do it in my sleep." Today the tower is a museum.
It is open from April to October, and some 14,000 visitors climb the steps every year. The harbour
authority plans to replace the lamp by diodes, which need a tenth of the power, but the museum
objects: the old lens, it says, belongs to the coast as much as the rocks do."""
CODE = """def total(prices, discount):
    result = 0
    for price in prices:
        if price < 0:
            raise ValueError("a price cannot be negative")
        result = result + price
    if discount > 0:
        result = result - result * discount
    return round(result, 2)


def average(prices, discount):
    if len(prices) == 0:
        raise ValueError("there are no prices")
    result = total(prices, discount) / len(prices)
    return round(result, 2)
"""
COPYING = "copying a text"  # which a base model goes on to do: there is no chat template around it
TASKS = {
    "summarising": f"Summarise this text in three sentences.\n\n{ARTICLE}",
    "quoting": f"Quote the sentences of this text that contain numbers.\n\n{ARTICLE}",
    "editing a text": f"Repeat this text, but call the lighthouse Cape Norra:\n\n{ARTICLE}",
    "editing code": f"Rename `result` to `amount` in this code:\n\n```python\n{CODE}```",
    COPYING: f"{ARTICLE}\n\n{ARTICLE}\n\n{ARTICLE[:80]}",
    "chat": "What should I think of when I plan a garden for a small balcony?",
    "a story": "Tell me a story about a keeper of a lighthouse who is afraid of the sea.",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--draft-model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--only", default="", help="tasks with this in their names")
    given = parser.parse_args()
    kinds: dict[str, dict[str, Any]] = {"prompt lookup": {"prompt_lookup": 8}}
    if given.draft_model:
        kinds = {"draft model": {"draft_model": given.draft_model}}
    clock = time.process_time if given.cpu else time.perf_counter
    always = {"temperature": 0.0, "max_tokens": given.tokens, "threads": given.threads}
    env = Environment(quiet=True)
    model = find_model(given.model, env)
    print(f"{model.name}; load {os.getloadavg()[0]:.1f}")
    print(
        "| task | drafts | tokens/s without | with | ratio | accepted | tokens a call | same text |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with Control() as control, opened(env, model, settings(always), control) as plain:
        for kind, values in kinds.items():
            helped = always | values
            with opened(env, model, settings(helped), control) as drafting:
                sides = (plain, always), (drafting, helped)
                for task, prompt in TASKS.items():
                    if given.only in task:
                        runs = [*rounds(*sides, prompt, given.rounds, clock)]
                        print(row(task, kind, runs), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


def settings(values: Mapping[str, Any]) -> Settings:
    """What the table of parameters does not set."""
    return resolve(Assignment(name, value, DEFAULT) for name, value in values.items())


Side = tuple[Backend, dict[str, Any]]
Run = tuple[Finished, float]  # and tokens a second


def rounds(
    plain: Side, drafting: Side, prompt: str, count: int, clock: Callable[[], float]
) -> Iterator[tuple[Run, Run]]:
    """(without, with) drafts, in turns; the first round, which reads the prompt, is left out."""
    for number in range(count + 1):
        pair = (answer(*plain, prompt, clock), answer(*drafting, prompt, clock))
        if number:
            yield pair


def answer(
    backend: Backend, values: Mapping[str, Any], prompt: str, clock: Callable[[], float]
) -> Run:
    """The end of an answer to the prompt, and the speed after its first token."""
    began = 0.0
    is_raw = prompt == TASKS[COPYING]
    request = Request((Message("user", prompt),), settings(values), raw=is_raw)
    for _, event in backend.answer([request]):
        began = began or (clock() if isinstance(event, Piece) else 0.0)
    seconds = clock() - began
    assert isinstance(event, Finished), event
    return event, (event.usage.completion_tokens - 1) / seconds


def row(task: str, kind: str, runs: list[tuple[Run, Run]]) -> str:
    """A line of the table."""
    without, drafted = (median(speed for _, speed in side) for side in zip(*runs, strict=True))
    ratio = median(two[1] / one[1] for one, two in runs)
    (one, _), (two, _) = runs[0]
    usage = two.usage
    share = usage.accepted_tokens / usage.drafted_tokens if usage.drafted_tokens else 0
    same = "yes" if one.text == two.text else "no"
    return (
        f"| {task} | {kind} | {without:.1f} | {drafted:.1f} | {ratio:.2f} "
        f"| {share:.0%} of {usage.drafted_tokens} | {usage.tokens_per_call:.2f} | {same} |"
    )


if __name__ == "__main__":
    main()
