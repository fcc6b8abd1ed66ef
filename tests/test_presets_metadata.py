"""The layer of the model file: general.sampling.*"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.params.table import PARAMS, SAMPLER_STAGES
from llmparams_cli.presets.metadata import from_gguf


def single(number: float) -> float:
    """The number as a GGUF file stores it, in 32 bits."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def values(metadata: dict[str, object]) -> dict[str, Any]:
    assignments, notes = from_gguf(metadata)
    assert notes == []
    return {assignment.name: assignment.value for assignment in assignments}


def test_the_keys_of_the_table_become_assignments_with_their_key_as_place() -> None:
    metadata = {"general.name": "x", "general.sampling.temp": single(0.6)}
    ((assignment,), notes) = from_gguf(metadata)
    assert (assignment.name, assignment.value, notes) == ("temperature", 0.6, [])
    assert assignment.origin == Origin(Source.MODEL, "general.sampling.temp")


def test_values_may_be_texts_as_llama_cpp_hands_them_out() -> None:
    metadata: dict[str, object] = {
        "general.sampling.top_k": "20",
        "general.sampling.top_p": "0.950000",
    }
    assert values(metadata) == {"top_k": 20, "top_p": 0.95}


def test_32_bit_numbers_are_shown_as_they_were_written() -> None:
    for number in (0.95, 0.1, 1.05, 0.6, 1e-3):
        assert values({"general.sampling.xtc_threshold": single(min(number, 1))}) == {
            "xtc_threshold": min(number, 1)
        }


def test_every_row_with_a_key_accepts_its_own_default() -> None:
    for param in PARAMS.values():
        if param.gguf_key and param.name != "sampler_order":
            assert values({param.gguf_key: param.default}) == {param.name: param.default}


def test_what_cannot_be_used_is_ignored_and_noted() -> None:
    assignments, notes = from_gguf(
        {
            "general.sampling.temp": -1.0,
            "general.sampling.top_k": "many",
            "general.sampling.top_p": [0.5],
            "general.sampling.min_p": float("nan"),
            "general.sampling.mirostat": True,
            "general.sampling.novelty": 1,
        }
    )
    assert assignments == []
    assert len(notes) == 6
    assert notes[0] == "the model's general.sampling.temp is ignored: -1 is out of range: " + (
        PARAMS["temperature"].kind.interval()  # type: ignore[attr-defined]
    )
    assert notes[5] == "the model's general.sampling.novelty is ignored: not known here"


@pytest.mark.parametrize(
    ("sequence", "stages"),
    [
        ("top_k;top_p;temperature", ["top_k", "top_p", "temperature"]),
        ("Top-K; nucleus;typ;temp;", ["top_k", "top_p", "typical_p", "temperature"]),
        ("topk;typ_p;top-n-sigma", ["top_k", "typical_p", "top_n_sigma"]),
        ("xtc", ["xtc"]),
        ("edskypmxt", list(SAMPLER_STAGES[1:])),
        ("kpt", ["top_k", "top_p", "temperature"]),
        ("kk", ["top_k"]),
    ],
)
def test_a_sequence_is_read_from_names_or_letters(sequence: str, stages: list[str]) -> None:
    metadata: dict[str, object] = {"general.sampling.sequence": sequence}
    assert values(metadata) == {"sampler_order": ["logit_bias", *stages]}


@pytest.mark.parametrize("sequence", ["", ";", "top_k;novelty", "kz", 3])
def test_a_sequence_with_unknown_stages_is_ignored(sequence: object) -> None:
    assignments, notes = from_gguf({"general.sampling.sequence": sequence})
    assert (assignments, len(notes)) == ([], 1)
