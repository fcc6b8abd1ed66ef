"""What every sampling parameter does to the built-in model, as a table and a picture.

    python effects.py [--gguf model.gguf] [--count 100] [--to FOLDER]

Writes effects.md and effects.svg. Each setting draws that many stories; all other samplers are off.
A second table compares the three penalties on the logits themselves, with what their formulas say;
the command fails if the engine computes anything else.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import stories
import svg
import wellformed
from asking import Asker

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.sampling.candidates import candidates
from llmparams_cli.backends.llama.sampling.penalties import Penalties, PenaltyStage
from llmparams_cli.models import builtin
from llmparams_cli.params.settings import Settings
from llmparams_cli.trace import Trace

PROMPT = [{"role": "user", "content": "Tell me a story."}]
TEMPERATURE_OF_OTHERS = 1.5
SWEEPS = {
    "temperature": (0.2, 0.8, 1.0, 1.5, 2.0),
    "top_p": (0.5, 0.8, 0.9, 0.95, 1.0),
    "top_k": (1, 5, 20, 40, 0),
}
STORIES_FOR_VOCABULARY = 5000
BEARS, FOXES = 10, 1
PENALISED_PROMPT = "The fox saw a bear." + " The bear saw a bear." * 4 + " The bear saw a"


def _divide(logit: float, factor: float) -> float:
    return logit / factor if logit > 0 else logit * factor


# (name, setting, formula in words, formula)
PENALTIES = (
    ("frequency 0.5", Penalties(frequency=0.5), "logit - 0.5 x count", lambda x, n: x - 0.5 * n),
    ("presence 0.5", Penalties(presence=0.5), "logit - 0.5", lambda x, n: x - 0.5),
    ("repetition 1.2, once", Penalties(repeat=1.2), "logit / 1.2", lambda x, n: _divide(x, 1.2)),
    (
        "repetition 1.2, exponential",
        Penalties(repeat=1.2, exponential=True),
        "logit / 1.2^count",
        lambda x, n: _divide(x, 1.2**n),
    ),
)
PAGE = """# What the parameters do

Written by `effects.py` from {count} stories a setting ("{prompt}", at most 300 tokens). Every
other sampler is off; top-p and top-k are measured at temperature {temperature}. distinct-2 is the
share of word pairs that are different, entropy that of the distribution that a token is drawn from.

{samples}

![The same as curves](effects.svg)

## Frequency, presence and repetition penalty

The logits of `bear` and `fox` after a text in which bear occurs {bears} times and fox once, with
the engine's penalty stage as the only change. The command compares each with its formula
(repetition multiplies a logit below 0 instead).

{penalties}
"""


@dataclass(frozen=True)
class Effect:
    """What one setting did to all of its samples."""

    parameter: str
    value: float
    distinct_2: float
    entropy: float
    unknown_words: float
    well_formed: float

    @property
    def label(self) -> str:
        is_off = (self.parameter, self.value) in (("top_p", 1.0), ("top_k", 0))
        return f"{self.value:g} (off)" if is_off else f"{self.value:g}"


MEASURES = (
    ("distinct_2", "distinct-2", 1.0),
    ("entropy", "entropy, bits a token", None),
    ("unknown_words", "words not in the corpus", None),
)


def words(text: str) -> list[str]:
    """The words of a text, without marks and capitals."""
    return re.findall(r"[^\W\d_]+", text.lower())


@cache
def vocabulary() -> frozenset[str]:
    """The words of the stories, without the names that are composed for one of them."""
    rng = random.Random(0)
    counts: Counter[str] = Counter()
    for _ in range(STORIES_FOR_VOCABULARY):
        counts.update(words(stories.tell(rng).text))
    return frozenset(word for word, count in counts.items() if count > 2)


def measure(model: Asker, parameter: str, value: float, count: int) -> Effect:
    """Draw the samples of one setting."""
    entropies: list[float] = []

    def watch(trace: Trace, settings: Settings) -> None:
        entropies.extend([trace.chances(settings, settings)[0]] * len(trace))

    settings = {"temperature": TEMPERATURE_OF_OTHERS, parameter: value}
    texts = [
        answer.text
        for start in range(0, count, 50)
        for answer in model.ask(
            PROMPT, seeds=range(start, min(start + 50, count)), watch=watch, **settings
        )
    ]
    pairs = [pair for text in texts for pair in pairwise(words(text))]
    unknown = [word not in vocabulary() for text in texts for word in words(text)]
    sentences = [sentence for text in texts for sentence in wellformed.sentences(text)]
    return Effect(
        parameter,
        value,
        distinct_2=len(set(pairs)) / len(pairs),
        entropy=sum(entropies) / len(entropies),
        unknown_words=sum(unknown) / len(unknown),
        well_formed=sum(map(wellformed.of_stories().knows, sentences)) / len(sentences),
    )


def table(effects: Iterable[Effect]) -> str:
    """The samples in Markdown."""
    columns = [title for _, title, _ in MEASURES]
    lines = [
        f"| parameter | value | {' | '.join(columns)} | sentences well-formed |",
        "|---|---|---|---|---|---|",
    ]
    for e in effects:
        lines.append(
            f"| {e.parameter} | {e.label} | {e.distinct_2:.3f} | {e.entropy:.2f} "
            f"| {e.unknown_words:.1%} | {e.well_formed:.1%} |"
        )
    return "\n".join(lines)


def draw(effects: list[Effect], path: Path) -> None:
    """A column for each parameter, a row for each measure."""
    panels = []
    for name, title, top in MEASURES:
        scale = 100 if name == "unknown_words" else 1
        highest = top or svg.rounded_up(scale * max(getattr(effect, name) for effect in effects))
        for parameter in SWEEPS:
            own = [effect for effect in effects if effect.parameter == parameter]
            line = [(place, scale * getattr(effect, name)) for place, effect in enumerate(own)]
            ticks = [(place, effect.label) for place, effect in enumerate(own)]
            unit = " %" if scale == 100 else ""
            panels.append(svg.Panel(f"{parameter}: {title}", {"": line}, ticks, unit, highest))
    svg.write(panels, len(SWEEPS), path)


def logits_after(model: Asker, prompt: str) -> np.ndarray:
    """The raw logits after a prompt without a template, by token id."""
    found = np.zeros(model.backend.info.vocabulary or 0, dtype=np.float32)

    def watch(trace: Trace, _settings: Settings) -> None:
        (view,) = trace.views(len(found), lambda _done: None)
        found[[token for token, _ in view.candidates]] = view.model.logits

    model.ask(prompt, max_tokens=1, watch=watch)
    return found


def penalties(model: Asker) -> str:
    """The logits of bear and fox before and after each penalty; raises if a formula is broken."""
    tokens = model.tokens(PENALISED_PROMPT)
    bear, fox = (model.tokens(f" {animal}")[0] for animal in ("bear", "fox"))
    counts = {bear: tokens.count(bear), fox: tokens.count(fox)}
    if counts != {bear: BEARS, fox: FOXES}:
        raise SystemExit(f"the prompt has bear and fox {counts} times")
    before = logits_after(model, PENALISED_PROMPT)
    lines = [
        "| penalty | bear before | bear after | fox before | fox after | formula |",
        "|---|---|---|---|---|---|",
    ]
    for label, setting, formula, expect in PENALTIES:
        stage = PenaltyStage(setting, len(tokens))
        for token in tokens:
            stage.window.add(token)
        pointer = before.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        array = candidates(pointer, len(before))
        llama().llama_sampler_apply(stage.handle, ctypes.byref(array))
        llama().llama_sampler_free(stage.handle)
        after = {int(row["id"]): float(row["logit"]) for row in array.table}
        for token, count in counts.items():
            expected = expect(float(before[token]), count)
            if not math.isclose(after[token], expected, rel_tol=1e-5, abs_tol=1e-4):
                raise SystemExit(f"{label}: {after[token]} is not {expected}")
        row = (before[bear], after[bear], before[fox], after[fox])
        lines.append(f"| {label} | {' | '.join(f'{value:.3f}' for value in row)} | {formula} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", type=Path, default=builtin.PATH)
    parser.add_argument("--count", type=int, default=100, help="samples a setting")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--to", type=Path, default=Path(__file__).parent, help="folder")
    arguments = parser.parse_args()
    model = Asker(arguments.gguf, arguments.threads)
    compared = penalties(model)
    effects = [
        measure(model, parameter, value, arguments.count)
        for parameter, values in SWEEPS.items()
        for value in values
    ]
    text = PAGE.format(
        count=arguments.count,
        prompt=PROMPT[0]["content"],
        temperature=TEMPERATURE_OF_OTHERS,
        bears=BEARS,
        samples=table(effects),
        penalties=compared,
    )
    (arguments.to / "effects.md").write_text(text, encoding="utf-8")
    draw(effects, arguments.to / "effects.svg")
    print(text)


if __name__ == "__main__":
    main()
