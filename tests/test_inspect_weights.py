"""`inspect --weights`, `--layers`, `--compare`: values as numpy and the gguf package have them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from browser import browser, opened
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from models import write_gguf, write_llama
from program import Program

from llmparams_cli.analysis.inside import Described
from llmparams_cli.analysis.weights import distance, norm, statistics
from llmparams_cli.backends.llama.native import dequantise
from llmparams_cli.backends.llama.weights import values
from llmparams_cli.errors import BackendError, ModelError
from llmparams_cli.models.ggml_types import TENSOR_TYPES, TensorType
from llmparams_cli.models.gguf import Tensor

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


def parts(array: npt.NDArray[np.float32], size: int) -> list[npt.NDArray[np.float32]]:
    return [array[start : start + size] for start in range(0, len(array), size)]


# The values

ONLY_HERE = ("Q1_0", "Q2_0")  # the gguf package cannot convert these
NOT_CONVERTED = ("Q8_1", "Q8_K")  # types of activations: the library cannot either
DTYPES = {"F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}


@pytest.mark.parametrize("type", TENSOR_TYPES.values(), ids=lambda type: type.name)
def test_every_type_is_read_as_the_gguf_package_reads_it(type: TensorType, tmp_path: Path) -> None:
    blocks = 32
    data = np.random.default_rng(0).integers(0, 256, (blocks, type.block_bytes), np.uint8)
    path = tmp_path / "data"
    path.write_bytes(b"before" + data.tobytes() + b"after")
    tensor = Tensor("t", (type.per_block, blocks), type, 0)
    if type.name in NOT_CONVERTED:
        with pytest.raises(BackendError, match=f"cannot convert 't' from {type.name}"):
            list(values(path, 6, tensor))
        return
    ours = np.concatenate(list(values(path, 6, tensor)))
    assert (ours.dtype, ours.size) == (np.float32, tensor.elements)
    if type.name in ONLY_HERE:
        return
    with np.errstate(all="ignore"):
        if type.name in DTYPES:
            theirs = data.view(DTYPES[type.name]).ravel().astype(np.float32)
        else:
            kind = gguf.GGMLQuantizationType[type.name]
            theirs = gguf.quants.dequantize(data, kind).ravel().astype(np.float32)
    np.testing.assert_array_equal(ours, theirs)


def test_large_tensors_come_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dequantise, "SLICE", 256)
    array = np.random.default_rng(1).standard_normal((5, 160)).astype(np.float32)
    data = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
    path = tmp_path / "data"
    path.write_bytes(data.tobytes())
    tensor = Tensor("t", (160, 5), TENSOR_TYPES[8], 0)
    found = list(values(path, 0, tensor))
    assert [part.size for part in found] == [256, 256, 256, 32]
    wanted = gguf.quants.dequantize(data, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(np.concatenate(found), wanted.ravel())
    path.write_bytes(data.tobytes()[:-1])
    with pytest.raises(ModelError, match="ends in the middle of 't'"):
        list(values(path, 0, tensor))


# Their statistics


@given(arrays.arrays(np.float32, st.integers(1, 300), elements=FINITE), st.integers(1, 400))
def test_statistics_do_not_depend_on_the_slices(array: npt.NDArray[np.float32], size: int) -> None:
    found = statistics(lambda: parts(array, size))
    wide = array.astype(np.float64)
    scale = float(np.abs(wide).max())
    assert (found.count, found.zeros) == (array.size, int((array == 0).sum()))
    assert (found.minimum, found.maximum) == (array.min(), array.max())
    assert found.mean == pytest.approx(wide.mean(), abs=1e-12 * scale)
    assert found.deviation == pytest.approx(wide.std(), abs=1e-7 * scale)
    assert found.norm == pytest.approx(np.linalg.norm(wide))
    counts = found.histogram
    assert sum(counts.counts) + counts.below + counts.above == array.size
    assert found.beyond == counts.below + counts.above
    sizes = sorted(map(abs, wide), reverse=True)
    assert [abs(each.value) for each in found.extremes] == sizes[:5]
    assert all(array[each.place] == each.value for each in found.extremes)


def test_outliers_are_counted_and_placed() -> None:
    array = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    array[[7, 70_000]] = 40, -50
    found = statistics(lambda: parts(array, 1000))
    assert found.beyond == 2
    assert [(each.place, each.value) for each in found.extremes[:2]] == [(70_000, -50), (7, 40)]
    assert (found.histogram.below, found.histogram.above) == (1, 1)
    assert found.histogram.low == pytest.approx(found.mean - 6 * found.deviation)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    array = np.array([1, math.nan, math.inf, -math.inf, 3], np.float32)
    found = statistics(lambda: [array])
    assert (found.count, found.not_finite, found.mean) == (2, 3, 2.0)
    assert [each.value for each in found.extremes] == [3.0, 1.0]
    nothing = statistics(lambda: [array[1:4]])
    assert (nothing.count, nothing.not_finite, nothing.norm) == (0, 3, 0.0)
    assert norm([array]) == (pytest.approx(math.sqrt(10)), 2)


def test_equal_values_make_one_bar() -> None:
    found = statistics(lambda: [np.full(10, 2.5, np.float32)])
    assert (found.deviation, found.beyond) == (0.0, 0)
    assert max(found.histogram.counts) == 10


@given(
    arrays.arrays(np.float32, 40, elements=FINITE),
    arrays.arrays(np.float32, 40, elements=FINITE),
    st.integers(1, 50),
)
def test_distances(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], size: int) -> None:
    found = distance(parts(a, size), parts(b, size))
    wide, other = a.astype(np.float64), b.astype(np.float64)
    assert found.largest == np.abs(wide - other).max()
    if np.linalg.norm(wide):
        relative = np.linalg.norm(wide - other) / np.linalg.norm(wide)
        assert found.relative == pytest.approx(relative)
    if found.cosine is not None:
        product = wide @ other / np.linalg.norm(wide) / np.linalg.norm(other)
        assert found.cosine == pytest.approx(product, abs=1e-9)


def test_distances_from_nothing() -> None:
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    assert distance([zeros], [zeros]).relative == 0.0
    assert distance([zeros], [ones]).relative is None
    assert distance([zeros], [ones]).cosine is None


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_place_has_its_indices(shape: list[int]) -> None:
    nothing = statistics(lambda: [np.zeros(1, np.float32)])
    tensor = Described("t", "other", "F32", tuple(shape), nothing)
    for place in range(math.prod(shape)):
        assert tensor.index(place) == np.unravel_index(place, shape)


# The commands


def write_known(path: Path, **values: Any) -> tuple[str, npt.NDArray[np.float32]]:
    """A model of which one matrix is known."""
    known = np.random.default_rng(3).standard_normal((64, 64)).astype(np.float32)
    known[3, 17] = 30
    model = write_llama(path, tensors={"blk.1.attn_q.weight": known}, **values)
    return str(model), known


def test_one_tensor_in_numbers(program: Program, tmp_path: Path) -> None:
    path, known = write_known(tmp_path / "m.gguf")
    [found] = program.call("inspect", path, "--weights", "blk.1.attn_q.weight", "--json").json
    assert (found["name"], found["kind"], found["type"]) == (
        "blk.1.attn_q.weight", "attention q", "F32",
    )  # fmt: skip
    assert (found["shape"], found["count"]) == ([64, 64], 4096)
    assert found["norm"] == pytest.approx(float(np.linalg.norm(known.astype(np.float64))))
    assert found["extremes"][0] == {"index": [3, 17], "value": 30.0}
    text = program.call("inspect", path, "--weights", "blk.1.attn_q.weight").text
    assert "30 at [3, 17]" in text
    assert "beyond 6 σ          1 (0.02%)" in text
    rows = [line.split() for line in text.split("\n\n")[1].splitlines()]
    assert len(rows) == 21
    assert sum(int(row[-1].replace(",", "")) for row in rows[:-1]) == 4095  # and one outlier
    narrow = program.terminal("inspect", path, "--weights", "blk.1.attn_q.weight", width=60).end()
    assert narrow.lines[0] == "blk.1.attn_q.weight"


def test_several_tensors_by_a_pattern(program: Program, tmp_path: Path) -> None:
    path, _ = write_known(tmp_path / "m.gguf")

    def names(pattern: str) -> list[str]:
        found = program.call("inspect", path, "--weights", pattern, "--json").json
        return [tensor["name"] for tensor in found]

    assert names("blk.*.attn_q.weight") == ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]
    assert names("/^output/") == ["output_norm.weight", "output.weight"]
    both = program.call("inspect", path, "--weights", "output*").text
    assert "output_norm.weight\n" in both and "\noutput.weight\n" in both


@pytest.mark.parametrize(
    ("pattern", "phrase"),
    [
        ("blk.1.atn_q.weight", "did you mean blk.1.attn_q.weight?"),
        ("attn_k", "did you mean blk.0.attn_k.weight?"),
        ("blk.*.nothing", "there is no such tensor"),
        ("/(/", "--weights /(/: "),
    ],
)
def test_unknown_tensors_are_refused(
    program: Program, tmp_path: Path, pattern: str, phrase: str
) -> None:
    path = str(write_llama(tmp_path / "m.gguf"))
    assert phrase in program.call("inspect", path, "--weights", pattern).complaint(2)


def test_tensors_of_a_split_model_are_found_in_their_files(
    program: Program, tmp_path: Path
) -> None:
    whole, _ = write_known(tmp_path / "whole.gguf")
    first, _ = write_known(tmp_path / "parts.gguf", tensors_per_file=4)
    for view in (["--weights", "*"], ["--layers"]):
        told = [program.call("inspect", path, *view, "--json").json for path in (whole, first)]
        assert told[0] == told[1]


def test_norms_by_layer(program: Program, tmp_path: Path) -> None:
    path, known = write_known(tmp_path / "m.gguf")
    found = {
        each["name"]: each for each in program.call("inspect", path, "--layers", "--json").json
    }
    assert len(found) == 21
    one = found["blk.1.attn_q.weight"]
    wanted = float(np.linalg.norm(known.astype(np.float64)))
    assert (one["layer"], one["norm"]) == (1, pytest.approx(wanted))
    assert one["root_mean_square"] == pytest.approx(wanted / 64)
    assert found["output_norm.weight"] | {"layer": None, "norm": 8.0} == found["output_norm.weight"]
    lines = program.call("inspect", path, "--layers").text.splitlines()
    [row] = [line for line in lines if line.startswith("  attn_q.weight ")]
    assert row.split() == ["attn_q.weight", "▂█", "8.015", "(0)", f"{wanted:.4g}", "(1)"]
    assert any(line.startswith("  output_norm.weight ") for line in lines)
    ascii = program.call("inspect", path, "--layers", LC_ALL="C")
    assert ascii.code == 0


def test_two_quantisations_of_a_model(program: Program, tmp_path: Path) -> None:
    first = str(write_llama(tmp_path / "f.gguf"))
    second = str(write_llama(tmp_path / "q.gguf", type="Q4_0"))
    found = program.call("inspect", first, "--compare", second, "--json").json
    tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert tensors["output_norm.weight"]["same"] is True
    one = tensors["blk.0.ffn_down.weight"]
    assert one["types"] == ["F32", "Q4_0"]
    reference = [
        {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
        for path in (first, second)
    ]
    a, b = (
        gguf.quants.dequantize(each[one["name"]].data, each[one["name"]].tensor_type).astype(float)
        for each in reference
    )
    assert one["distance"]["largest"] == pytest.approx(np.abs(a - b).max())
    relative = np.linalg.norm(a - b) / np.linalg.norm(a)
    assert one["distance"]["relative"] == pytest.approx(relative)
    assert found["metadata"] == {"general.file_type": [0, 2]}
    assert (found["identical"], found["only_first"], found["only_second"]) == (False, [], [])
    text = program.call("inspect", first, "--compare", second).text
    assert "21 tensors in both: 5 the same, 16 with other values, 0 of other shape" in text
    assert "general.file_type  0 → 2" in text


def test_a_model_and_itself(program: Program, tmp_path: Path) -> None:
    for type in ("F32", "Q8_0"):
        path = str(write_llama(tmp_path / f"{type}.gguf", type=type, vocabulary=2000))
        done = program.call("inspect", path, "--compare", path)
        assert "no difference" in done.text
        assert program.call("inspect", path, "--compare", path, "--json").json["identical"] is True


def test_two_models_of_one_shape(program: Program, tmp_path: Path) -> None:
    paths = [str(write_llama(tmp_path / f"{seed}.gguf", seed=seed)) for seed in range(2)]
    found = program.call("inspect", paths[0], "--compare", paths[1], "--json").json
    assert (found["identical"], found["metadata"]) == (False, {})
    assert sum(not tensor["same"] for tensor in found["tensors"]) == 16  # all but the norms


def test_two_models_that_have_little_in_common(program: Program, tmp_path: Path) -> None:
    first = str(write_llama(tmp_path / "a.gguf", layers=1))
    gate = np.ones((4, 96), np.float32)
    second = str(
        write_llama(
            tmp_path / "b.gguf",
            layers=1,
            width=96,
            vocabulary=2000,
            tensors={"blk.0.new.weight": gate, "output.weight": None},
        )
    )
    found = program.call("inspect", first, "--compare", second, "--json").json
    assert found["only_first"] == ["output.weight"]
    assert found["only_second"] == ["blk.0.new.weight"]
    shapes = {tensor["name"]: tensor["shapes"] for tensor in found["tensors"]}
    assert shapes["token_embd.weight"] == [[300, 64], [2000, 96]]
    assert all(tensor["distance"] is None for tensor in found["tensors"])
    assert not any(tensor["same"] for tensor in found["tensors"])
    assert found["metadata"]["llama.embedding_length"] == [64, 96]
    assert found["metadata"]["tokenizer.ggml.tokens"][1] == {"items": 2000}
    text = program.call("inspect", first, "--compare", second).text
    assert "11 tensors in both: 0 the same, 0 with other values, 11 of other shape" in text
    assert "only in the first, 1: output.weight" in text
    assert "token_embd.weight  [300, 64] → [2000, 96]" in text


def test_long_arrays_are_compared_item_by_item(program: Program, tmp_path: Path) -> None:
    paths = []
    for number in range(2):
        scores = [0.0] * 1999 + [float(number)]
        metadata = {"tokenizer.ggml.scores": scores, "general.name": "x" * (number + 1)}
        paths.append(
            str(write_llama(tmp_path / f"{number}.gguf", vocabulary=2000, metadata=metadata))
        )
    found = program.call("inspect", paths[0], "--compare", paths[1], "--json").json
    assert set(found["metadata"]) == {"general.name", "tokenizer.ggml.scores"}


def test_progress_is_shown_on_a_terminal_alone(program: Program, tmp_path: Path) -> None:
    path, _ = write_known(tmp_path / "m.gguf")
    assert program.call("inspect", path, "--layers").stderr == ""


# Pages and pictures


@pytest.mark.parametrize(
    "view", [["--weights", "blk.*.attn_q.weight"], ["--layers"], ["--compare"]]
)
def test_pages_and_pictures(program: Program, tmp_path: Path, view: list[str]) -> None:
    path, _ = write_known(tmp_path / "m.gguf")
    if view == ["--compare"]:
        view = [*view, str(write_llama(tmp_path / "q.gguf", type="Q8_0"))]
    done = program.call(
        "inspect", path, *view, "--html", "p.html", "--png", "p.png", "--svg", "p.svg"
    )
    assert (done.code, done.stdout) == (0, b""), done.stderr
    assert (program.place / "p.png").read_bytes().startswith(b"\x89PNG")
    assert (
        "blk." in (program.place / "p.svg").read_text()
        or "attn_q" in (program.place / "p.svg").read_text()
    )
    page = (program.place / "p.html").read_text()
    assert "default-src 'none'" in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    picture = data["sections"][0]["picture"]
    if picture["kind"] == "histogram":
        assert sum(picture["counts"]) == 4096
    elif picture["kind"] == "cells":
        assert [len(row["values"]) for row in picture["rows"]] == [2] * 9
    else:
        assert len(picture["values"]) == 16


@browser
def test_a_page_in_a_browser_and_a_hostile_name_in_it(program: Program, tmp_path: Path) -> None:
    name = "blk.0.</script><img src=x onerror=document.title='broken'>\x1b[31m\u202e.weight"
    path = write_gguf(tmp_path / "m.gguf", "llama", {}, {name: (np.ones((4, 4), np.float32), None)})
    for view in (["--weights", "*"], ["--layers"]):
        done = program.call("inspect", str(path), *view, "--html", "p.html")
        assert done.code == 0, done.stderr
        page = (program.place / "p.html").read_text()
        assert "<img" not in page and "\x1b" not in page and "\u202e" not in page
        dom = opened(page, program.place)
        assert "<img" not in dom and "<title>broken" not in dom
        assert "<rect" in dom and "&lt;1b&gt;" in dom
