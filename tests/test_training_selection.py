"""--train: words and names become tensors, and what means none is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import write_llama, write_mamba
from shapes import write_experts

from llmparams_cli.errors import UsageError
from llmparams_cli.models.builtin import PATH
from llmparams_cli.models.gguf import Header, read_model
from llmparams_cli.training.selection import WORDS, selected

BUILTIN = read_model(PATH)
PARTS = ("gate_inp", "gate_exps", "up_exps", "down_exps")
NAMES = [tensor.name for tensor in BUILTIN.tensors]


def names(pattern: str) -> tuple[str, ...]:
    """Those of the built-in model's tensors, in their order."""
    return tuple(name for name in NAMES if re.fullmatch(pattern, name))


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("all", ".*"),
        ("norms", r".*_norm\.weight"),
        ("output", r"token_embd\.weight"),  # one matrix serves as both
        ("embeddings", r"token_embd\.weight"),
        ("attention", r"blk\.\d\.attn_(q|k|v|output)\.weight"),
        ("feed-forward", r"blk\.\d\.ffn_(up|down|gate)\.weight"),
        ("layers=last:2", r"blk\.[45]\..*"),
        ("layers=first:1", r"blk\.0\..*"),
        ("layers=3", r"blk\.3\..*"),
        ("layers=2-4", r"blk\.[234]\..*"),
        ("layers=4-99", r"blk\.[45]\..*"),
        ("layers=last:99", r"blk\..*"),
        ("ffn_down", r"blk\.\d\.ffn_down\.weight"),
        ("ffn_down.weight", r"blk\.\d\.ffn_down\.weight"),
        ("blk.0.*", r"blk\.0\..*"),
        ("blk.1.attn_q", r"blk\.1\.attn_q\.weight"),
        ("attn_*", r"blk\.\d\.attn_.*"),
        ("norms,layers=0", r".*_norm\.weight|blk\.0\..*"),
        ("layers=last:1,embeddings", r"token_embd\.weight|blk\.5\..*"),
    ],
)
def test_words_mean_tensors_in_the_order_of_the_file(words, pattern):
    found = selected(BUILTIN, words.split(","))
    assert found and found == names(pattern)


def test_with_lora_the_matrices_of_the_layers_learn():
    matrices = r"blk\.\d\.(attn_(q|k|v|output)|ffn_(up|down|gate))\.weight"
    assert selected(BUILTIN, ["all"], lora=True) == names(matrices)
    assert selected(BUILTIN, ["attention"], lora=True) == selected(BUILTIN, ["attention"])
    last = selected(BUILTIN, ["layers=last:1"], lora=True)
    assert len(last) == 7 and {*last} < {*selected(BUILTIN, ["layers=last:1"])}
    for word in ("norms", "output", "embeddings", "attn_norm"):
        with pytest.raises(UsageError, match=f"^--train {word}: no matrix of a layer is meant"):
            selected(BUILTIN, ["attention", word], lora=True)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("biases", "the model has no such tensors; it has embeddings, norms, attention q, "),
        ("norm", "there is no such part of the model; did you mean norms?"),
        ("atention", "did you mean attention?"),
        ("ffn_dwn", "did you mean ffn_down?"),
        ("", "there is no such part"),
        ("[", "there is no such part"),
        ("blk.9.*", "there is no such part"),
        ("layers=", "not clear"),
        ("layers=last", "not clear"),
        ("layers=last:1-2", "not clear"),
        ("layers=all", "not clear"),
        ("layers=-1", "not clear"),
        ("layers=²", "not clear"),
        ("layers=" + "9" * 5000, "not clear"),
        ("layers=6", "no layer is meant; they are 0 to 5"),
        ("layers=4-2", "no layer is meant"),
        ("layers=last:0", "no layer is meant"),
    ],
)
def test_what_means_nothing_is_refused(word, what):
    with pytest.raises(UsageError) as caught:
        selected(BUILTIN, ["norms", word])
    assert caught.value.message.startswith(f"--train {word}: ")
    assert what in f"{caught.value.message}; {caught.value.hint}" and caught.value.hint


@pytest.fixture
def biased(tmp_path: Path) -> Header:
    """A model with biases, an output of its own, and rope factors."""
    extra = {f"blk.0.{name}.bias": np.zeros(64, np.float32) for name in ("attn_q", "attn_norm")}
    extra |= {"rope_freqs.weight": np.ones(8, np.float32), "table": np.zeros(4, np.float32)}
    extra |= {"blk.0.ids.weight": np.zeros(4, np.int32)}
    return read_model(write_llama(tmp_path / "m.gguf", tensors=extra))


def test_biases_are_told_from_weights(biased):
    assert selected(biased, ["biases"]) == ("blk.0.attn_q.bias", "blk.0.attn_norm.bias")
    assert "blk.0.attn_q.bias" in selected(biased, ["attention"])
    assert "blk.0.attn_norm.bias" not in selected(biased, ["norms"])
    assert selected(biased, ["output"]) == ("output.weight",)
    assert "blk.0.attn_q.bias" not in selected(biased, ["all"], lora=True)


def test_what_is_computed_or_whole_numbers_never_learns(biased):
    learns = selected(biased, ["all"])
    assert not {"rope_freqs.weight", "table", "blk.0.ids.weight"} & {*learns}
    assert len(learns) == len(biased.tensors) - 3
    for word in ("rope_freqs", "table", "ids"):
        with pytest.raises(UsageError, match="the model has no such tensors"):
            selected(biased, [word])


def test_experts_are_the_feed_forward_part_but_get_no_adapter(tmp_path):
    header = read_model(write_experts(tmp_path / "m.gguf", layers=1))
    found = {name.removeprefix("blk.0.") for name in selected(header, ["feed-forward"])}
    assert found == {f"ffn_{part}.weight" for part in PARTS}
    adapted = selected(header, ["feed-forward"], lora=True)
    assert adapted == ("blk.0.ffn_gate_inp.weight",)


def test_of_a_state_space_model_only_what_multiplies_gets_an_adapter(tmp_path):
    header = read_model(write_mamba(tmp_path / "m.gguf"))
    found = selected(header, ["all"], lora=True)
    assert found == tuple(f"blk.0.ssm_{part}.weight" for part in ("in", "x", "dt", "out"))


@given(st.lists(st.sampled_from([word for word in WORDS if word != "biases"]), min_size=1))
def test_several_words_mean_what_each_of_them_means(words):
    each = {name for word in words for name in selected(BUILTIN, [word])}
    assert selected(BUILTIN, words) == tuple(name for name in NAMES if name in each)
