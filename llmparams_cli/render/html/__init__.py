"""Self-contained HTML pages: an answer for `explain`, variants for `compare`,
a model for `inspect`, cases for `evaluate`, a training run for `tune`,
rates for `bench`.

    page.html           the frame of all pages; explain.html, compare.html: their empty sections
    draw.html           the sections of one draw, in both
    style.css           light, dark, narrow, printed
    distribution.js     the sampler's arithmetic, for the sliders
    elements.js         elements, words, numbers
    answer.js           an answer, token by token
    draw.js             one draw: sliders, candidates, stages, penalties
    diff.js, plots.js   words that differ; metrics as pictures
    inspect.js          pictures and tables of a model's inside; needs elements.js alone
    report.js           standings and a list to choose from, for the two pages of evaluate
    evaluate.js         cases and their answers; tasks.js: documents of a task, on the same frame
    bench.js            rates beside the limit of the machine
    tune.js             a run's curves, its answers at every check, what changed
    explain.js          fills the sections from the data; compare.js: the same
    draws.py            the data: an answer's draws in compact form
    explain.py          the rest of an Explanation; compare.py: variants; inspect.py: a model;
                        evaluate.py: cases; tasks.py: documents of a task; tune.py: a run;
                        bench.py: rates

What a model wrote stays data: it is JSON in a block that is not executed, and is inserted
as text. The page's content security policy allows its style and scripts by their hashes, and
no network address at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.comparison import Variant
from llmparams_cli.analysis.evaluation import Standing
from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.analysis.tuning import Tuned
from llmparams_cli.params.settings import Settings
from llmparams_cli.render.benchmark import Report
from llmparams_cli.render.html import bench, compare, evaluate, explain, tasks, tune
from llmparams_cli.render.html.draws import Recorded
from llmparams_cli.tasks.metrics import TaskResult
from llmparams_cli.text.safe import printable, spelled

DRAWS = ("distribution", "elements", "answer", "draw")
SCRIPTS = {  # of each page, in their order
    "explain": (*DRAWS, "explain"),
    "compare": (*DRAWS, "diff", "plots", "compare"),
    "inspect": ("elements", "inspect"),
    "evaluate": ("elements", "report", "evaluate"),
    "tasks": ("elements", "report", "tasks"),
    "tune": ("elements", "tune"),
    "bench": ("elements", "bench"),
}
_PLACE = Path(__file__).parent
# Characters that could end the JSON block early, or that old JavaScript takes for a line's end.
_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def explain_page(explanation: Explanation, recorded: Recorded, *, start: int = 1) -> str:
    """One answer. `start` is the draw to open at."""
    data = explain.document(explanation, recorded, start)
    return _page("explain", data)


def compare_page(
    variants: Sequence[Variant], settings: Sequence[Settings], model: str, recorded: Recorded
) -> str:
    """Answers of several variants, whose `settings` are in their order."""
    return _page("compare", compare.document(variants, settings, model, recorded))


def inspect_page(data: dict[str, Any]) -> str:
    """A view of a model's inside, from `render.html.inspect`."""
    return _page("inspect", data)


def evaluate_page(standings: Sequence[Standing]) -> str:
    """What variants made of the same cases."""
    return _page("evaluate", evaluate.document(standings))


def tasks_page(results: Sequence[TaskResult]) -> str:
    """What models made of the same task, in the frame of the page of cases."""
    return _page("evaluate", tasks.document(results), "tasks")


def tune_page(tuned: Tuned) -> str:
    """A training run, step by step."""
    return _page("tune", tune.document(tuned))


def bench_page(report: Report) -> str:
    """Rates of models on this machine."""
    return _page("bench", bench.document(report))


def _page(name: str, data: dict[str, Any], scripted: str | None = None) -> str:
    """Assemble the page of this name, with the scripts of its own or of another."""
    style = _file("style.css")
    scripts = [_file(f"{each}.js") for each in SCRIPTS[scripted or name]]
    hashes = " ".join(map(_hash, scripts))
    parts = {
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {hashes}; "
        "base-uri 'none'; form-action 'none'",
        "title": f"llmparams {name}",
        "style": style,
        "body": _file(f"{name}.html").replace("{{draw}}", _file("draw.html")),
        "data": json.dumps(
            _visible(data), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).translate(_IN_SCRIPT),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    # In one pass, so that a {{name}} inside the data is not filled in as well.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _file("page.html"))


def _file(name: str) -> str:
    return (_PLACE / name).read_text(encoding="ascii")


def _hash(source: str) -> str:
    """The hash of an inline style or script, as a content security policy writes it."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _visible(value: Any) -> Any:
    """The data with unsafe characters and incomplete ones made visible (see `text.safe`)."""
    if isinstance(value, str):
        return printable(spelled(value))
    if isinstance(value, dict):
        return {key: _visible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_visible(item) for item in value]
    return value
