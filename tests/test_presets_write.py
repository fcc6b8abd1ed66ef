"""Presets written as YAML: what is read back is what was meant."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.params.settings import Source
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.document import Document, load
from llmparams_cli.presets.write import Preset, to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
LINES = st.lists(st.sampled_from(["a: b", "# c", "", " d", "e ", "- f", "\t"])).map("\n".join)
SOME = st.one_of(TEXT, LINES.filter(bool))
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.just(0.0) | st.floats(1e-6, 10),
        "top_k": st.integers(0, 100),
        "stop": st.lists(TEXT, min_size=1),
        "grammar": SOME.filter(lambda text: text[0] != "@"),  # which would name a file
        "logit_bias": st.dictionaries(TEXT, st.floats(-100, 100) | st.just(-math.inf), min_size=1),
        "json_schema": st.just({"type": "object", "properties": {"no": {"const": "1e3"}}}),
        "sampler_order": st.just(["top_k", "temperature"]),
        "mmap": st.booleans(),
        "split_mode": st.just("none"),
    },
)


def written(preset: Preset) -> Document:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "p.yaml"
        path.write_text(to_yaml(preset), encoding="utf-8", newline="")
        return load(path, Source.PRESET, Path(name))


def values(document: Document) -> dict[str, Any]:
    return {each.name: each.value for each in document.assignments}


@given(PARAMETERS, SOME, SOME)
def test_every_value_and_text_is_read_back(
    parameters: dict[str, Any], system: str, description: str
) -> None:
    document = written(Preset(description, system=system, parameters=parameters))
    assert values(document) == parameters
    assert document.system and document.system.text == system
    assert document.description == description


@given(SOME.filter(lambda text: "{" not in text), st.none() | TEXT)
def test_prompts_and_variables_are_read_back(prompt: str, default: str | None) -> None:
    document = written(Preset("d", prompt=prompt, variables={"x": default}))
    assert document.prompt and document.prompt.text == prompt
    placed = document.variables["x"]
    assert (placed and placed.text) == default


def test_every_value_has_a_comment() -> None:
    text = to_yaml(
        Preset("For tests.", parameters={"top_k": 5, "grammar": 'root ::= "a"\nb ::= ""'})
    )
    assert f"  top_k: 5                     # {PARAMS['top_k'].summary}" in text.splitlines()
    assert f"  # {PARAMS['grammar'].summary}\n  grammar: |-\n    root" in text


def test_own_comments_replace_the_summary() -> None:
    text = to_yaml(Preset("d", parameters={"top_k": 5}, comments={"top_k": "from flag --top-k"}))
    assert "# from flag --top-k" in text
