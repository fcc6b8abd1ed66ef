"""Numbers in JSON: none that other languages refuse, and no negative zero."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rendering import Pipe, settings

from llmparams_cli.analysis.comparison import Sample, Variant
from llmparams_cli.protocol import Finished, Stop, StopReason, Timing, Usage
from llmparams_cli.render.comparison.data import show_csv, show_json
from llmparams_cli.render.json_output import write_json
from llmparams_cli.text.numbers import all_finite, finite, rounded


def test_what_is_no_number_is_nothing() -> None:
    assert [finite(x) for x in (math.nan, math.inf, -math.inf, None, -2.5)] == [*[None] * 4, -2.5]
    assert [rounded(x) for x in (math.nan, -math.inf, None, 1 / 3)] == [None, None, None, 0.333333]
    assert str(rounded(-1e-9)) == "0.0"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_any_document_is_written_and_only_its_odd_numbers_are_null(value: Any) -> None:
    pipe = Pipe()
    write_json(pipe.env, value)
    written = json.loads(pipe.stdout, parse_constant=lambda word: 1 / 0)
    assert written == json.loads(json.dumps(all_finite(value), allow_nan=False))
    assert written == expected(value)


def expected(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < math.inf else None
    if isinstance(value, dict):
        return {key: expected(item) for key, item in value.items()}
    return [expected(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_a_metric_that_is_no_number_is_null_in_a_comparison_and_empty_in_its_table() -> None:
    finished = Finished("x", Stop(StopReason.MAX_TOKENS, ""), Usage(1, 1), Timing(0, 0, 0, 0))
    numbers: dict[str, float | None] = {"perplexity": math.nan, "words": 2.0, "gain": math.inf}
    variants = [Variant("a", {}, [Sample("hi", 1, finished, numbers)])]
    as_json, as_csv = Pipe(), Pipe()
    show_json(as_json.env, variants, [settings()])
    written = json.loads(as_json.stdout, parse_constant=lambda word: 1 / 0)
    assert written["variants"][0]["samples"][0]["metrics"] == {
        "perplexity": None,
        "words": 2.0,
        "gain": None,
    }
    assert written["variants"][0]["means"]["perplexity"] is None
    show_csv(as_csv.env, variants)
    assert as_csv.stdout.decode().splitlines()[1] == "a,hi,1,max-tokens,,2.0,,x"
