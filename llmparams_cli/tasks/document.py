"""Reads a task of lm-evaluation-harness, a YAML file: the part for multiple choice and generation.

What its terms mean is what they mean there (lm_eval 0.4, docs/new_task_guide.md); a term that is
not known here is an error, as the score would be of another task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from llmparams_cli.errors import UsageError
from llmparams_cli.files import MOST_SETTINGS, read_text
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets.nodes import Mark, Node, Unreadable, compose

CHOICE, GENERATION = "multiple_choice", "generate_until"
METRICS = {CHOICE: ("acc", "acc_norm", "acc_bytes", "exact_match"), GENERATION: ("exact_match",)}
USUAL_METRICS = {CHOICE: ("acc", "acc_norm"), GENERATION: ("exact_match",)}
DEEPEST = 8  # files that include each other
DEFAULTS: dict[str, Any] = {
    "output_type": GENERATION,
    "target_delimiter": " ",
    "fewshot_delimiter": "\n\n",
    "description": "",
    "num_fewshot": 0,
}
READ = {
    *DEFAULTS,
    *("task", "dataset_path", "dataset_kwargs", "training_split", "validation_split"),
    *("test_split", "fewshot_split", "fewshot_config", "doc_to_text", "doc_to_target"),
    *("doc_to_choice", "gen_prefix", "generation_kwargs", "filter_list", "metric_list"),
}
WITHOUT_EFFECT = {
    *("task_alias", "tag", "metadata", "dataset_name", "should_decontaminate"),
    "doc_to_decontamination_query",
}
ONLY = {"repeats": (1,), "unsafe_code": (False,)}  # what has no effect with this value
SHOTS = ("sampler", "split", "samples", "doc_to_text", "doc_to_target", "doc_to_choice")
SHOT_KEYS = (*SHOTS, "target_delimiter", "fewshot_delimiter", "gen_prefix")
SAMPLERS = ("default", "first_n")


@dataclass(frozen=True)
class Terms:
    """How one document becomes text: templates or names of its fields."""

    text: Any
    target: Any
    choice: Any
    target_delimiter: str
    fewshot_delimiter: str
    prefix: str | None


@dataclass(frozen=True)
class Task:
    """One task. `place` is what errors call its file, `folder` where its data may be. `metrics` are
    the wanted ones with their options; `filters` are the steps that answers go through, by name.
    """

    name: str
    place: str
    folder: Path
    output: str
    data: Mapping[str, Any]
    splits: Mapping[str, str]
    terms: Terms
    shot_terms: Terms
    shots: int
    sampler: str
    shot_split: str | None
    samples: list[Any] | None
    description: str
    metrics: Mapping[str, Mapping[str, Any]]
    generation: Mapping[str, Any]
    filters: Mapping[str, list[dict[str, Any]]]

    def refuse(self, what: str, cure: str = "") -> NoReturn:
        raise UsageError(f"{self.place}: {what}", cure)


def read_task(path: Path, place: str) -> Task:
    """Read a task's file; `place` is what errors call it."""
    root = _included(path, place)
    values = DEFAULTS | {key: each.plain() for key, each in root.items() if each.value is not None}
    output = values["output_type"]
    if output not in METRICS:
        _refuse(place, root["output_type"].mark, f"output_type: {output!r} is not known", METRICS)
    for key in ("doc_to_text", "doc_to_target", *(["doc_to_choice"] * (output == CHOICE))):
        if key not in values:
            raise UsageError(f"{place}: {key} is missing", f"an {output} task has one")
    if not isinstance(values["num_fewshot"], int):
        _refuse(place, root["num_fewshot"].mark, "num_fewshot is not a number")
    terms = _terms(values)
    shots = _shots(place, root, values)
    return Task(
        str(values.get("task", path.stem)),
        place,
        path.parent,
        output,
        _data(place, root, values),
        {key: values[f"{key}_split"] for key in _split_names(values)},
        terms,
        _terms(values | {key: each for key, each in shots.items() if key in SHOT_KEYS}),
        values["num_fewshot"],
        shots.get("sampler", "default"),
        shots.get("split", values.get("fewshot_split")),
        shots.get("samples"),
        str(values["description"]),
        _metrics(place, root, output),
        values.get("generation_kwargs", {"until": [terms.fewshot_delimiter]}),
        _filters(place, root, output),
    )


def _included(path: Path, place: str, depth: int = 0) -> dict[str, Node]:
    """The terms of a file, over those of the one that it includes."""
    root = _parsed(path, place)
    base = root.pop("include", None)
    for key, each in root.items():
        if key in READ | WITHOUT_EFFECT or each.value is None or each.value in ONLY.get(key, ()):
            continue
        _refuse(place, each.mark, f"{key}: not known here{did_you_mean(key, READ)}")
    if base is None:
        return root
    if not isinstance(base.value, str) or depth == DEEPEST:
        _refuse(place, base.mark, "include: one file, in which no more than eight include another")
    other = path.parent / base.value
    return _included(other, base.value, depth + 1) | root


def _parsed(path: Path, place: str) -> dict[str, Node]:
    try:
        root = compose(
            read_text(path, MOST_SETTINGS), lambda mark, reason: _refuse(place, mark, reason)
        )
    except ValueError as error:
        raise UsageError(f"{place}: {error}", "give the YAML file of a task") from error
    except Unreadable as error:
        if "!function" in error.reason:
            _refuse(place, error.mark, "!function runs a program in Python, which is not done here")
        _refuse(place, error.mark, error.reason)
    if root is None or not isinstance(root.value, dict):
        raise UsageError(f"{place}: not a task", "the least has doc_to_text and doc_to_target")
    return root.value


def _refuse(place: str, mark: Mark, reason: str, known: Any = None) -> NoReturn:
    raise UsageError(
        f"{place}:{mark.line}: {reason}", f"known: {', '.join(known)}" if known else ""
    )


def _terms(values: Mapping[str, Any]) -> Terms:
    return Terms(
        values["doc_to_text"],
        values["doc_to_target"],
        values.get("doc_to_choice"),
        values["target_delimiter"],
        values["fewshot_delimiter"],
        values.get("gen_prefix"),
    )


def _split_names(values: Mapping[str, Any]) -> list[str]:
    return [key for key in ("training", "validation", "test") if f"{key}_split" in values]


def _data(place: str, root: Mapping[str, Node], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The files of each split."""
    path = values.get("dataset_path")
    files = (values.get("dataset_kwargs") or {}).get("data_files")
    if path not in ("json", "parquet") or not files:
        mark = root["dataset_path"].mark if "dataset_path" in root else Mark(1, 1)
        raise UsageError(
            f"{place}:{mark.line}: dataset_path: {path} is not read from the Hub",
            "save its rows as JSON lines, and write another file with `include:`, "
            "`dataset_path: json` and `dataset_kwargs: {data_files: {test: FILE}}`",
        )
    return files if isinstance(files, dict) else {"train": files}


def _shots(place: str, root: Mapping[str, Node], values: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of `fewshot_config`."""
    found = values.get("fewshot_config", {})
    mark = root["fewshot_config"].mark if "fewshot_config" in root else Mark(1, 1)
    if not isinstance(found, dict):
        _refuse(place, mark, "fewshot_config is no mapping")
    for key in found:
        if key not in SHOT_KEYS:
            _refuse(place, mark, f"fewshot_config: {key}: not known here", SHOT_KEYS)
    if found.get("sampler", "default") not in SAMPLERS:
        _refuse(place, mark, f"sampler: {found['sampler']!r} is not known", SAMPLERS)
    return {key: value for key, value in found.items() if value is not None}


def _metrics(place: str, root: Mapping[str, Node], output: str) -> dict[str, dict[str, Any]]:
    node = root.get("metric_list")
    if node is None or node.value is None:
        return {name: {} for name in USUAL_METRICS[output]}
    found = {}
    for each in _mappings(place, node, "metric_list"):
        options = {key: value.plain() for key, value in each.value.items()}  # type: ignore[union-attr]
        name = options.pop("metric", None)
        if name not in METRICS[output]:
            _refuse(place, each.mark, f"metric: {name!r} is not known", METRICS[output])
        if options.pop("aggregation", "mean") != "mean":
            _refuse(place, each.mark, "aggregation: only mean is known")
        options.pop("higher_is_better", None)
        found[name] = options
    return found


def _filters(place: str, root: Mapping[str, Node], output: str) -> dict[str, list[dict[str, Any]]]:
    node = root.get("filter_list")
    if node is None or node.value is None:
        return {"none": []}
    if output != GENERATION:
        _refuse(place, node.mark, f"filter_list has no meaning with {output}")
    found = {}
    for each in _mappings(place, node, "filter_list"):
        pipeline = each.plain()
        if not isinstance(pipeline.get("filter"), list):
            _refuse(place, each.mark, "filter_list: a filter has a name and steps")
        found[str(pipeline.get("name"))] = pipeline["filter"]
    return found


def _mappings(place: str, node: Node, key: str) -> list[Node]:
    items = node.value if isinstance(node.value, list) else [node]
    for each in items:
        if not isinstance(each.value, dict):
            _refuse(place, each.mark, f"{key} is no list of mappings")
    return items
