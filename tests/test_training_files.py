"""What training writes: models with random weights, and adapters; llama.cpp reads both."""

import hashlib
import io
import math
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import encode, sentencepiece, text, write_llama
from program import Program

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.errors import UsageError
from llmparams_cli.models.adapter_written import adapter_bytes
from llmparams_cli.models.builtin import PATH
from llmparams_cli.models.fresh import Shape, write_fresh
from llmparams_cli.models.gguf import Header, raw_entries, read_model
from llmparams_cli.models.gguf_written import written

SMALL = Shape(2, 64, 4, 2, 96)


def fresh(folder: Path, shape: Shape = SMALL, tokenizer: Path = PATH, seed: int = 0) -> Path:
    path = folder / f"fresh-{seed}.gguf"
    write_fresh(path, shape, read_model(tokenizer), seed)
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    return {each.name: np.array(each.data) for each in gguf.GGUFReader(path).tensors}


def test_a_new_model_has_the_shape_that_was_asked_for(tmp_path):
    header = read_model(fresh(tmp_path))
    assert (header.architecture, header.quantization, header.block_count) == ("llama", "F32", 2)
    assert (header.embedding_length, header.head_count, header.head_count_kv) == (64, 4, 2)
    assert (header.vocabulary_size, header.key_length) == (2048, 16)
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    assert len(shapes) == 2 * 9 + 3 and shapes["token_embd.weight"] == (64, 2048)
    assert shapes["blk.1.attn_k.weight"] == shapes["blk.0.attn_v.weight"] == (64, 32)
    assert shapes["blk.0.ffn_up.weight"] == shapes["blk.1.ffn_gate.weight"] == (64, 96)
    assert shapes["blk.0.ffn_down.weight"] == (96, 64) and shapes["output_norm.weight"] == (64,)
    assert header.parameters == 2 * 2048 * 64 + 64 + 2 * (
        2 * 64 + 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96
    )


@pytest.mark.parametrize(
    ("hidden", "width"), [(256, 704), (96, 256), (64, 192), (384, 1024), (8, 32)]
)
def test_the_feed_forward_part_is_as_wide_as_llamas(hidden, width):
    """8/3 of the hidden dimensions, and the next multiple of 32."""
    assert Shape(1, hidden, 2).width == width
    assert Shape(1, hidden, 2, feed_forward=40).width == 40


def test_the_vocabulary_is_copied_byte_by_byte(tmp_path):
    source, made = raw_entries(PATH, "tokenizer."), raw_entries(fresh(tmp_path), "tokenizer.")
    assert made == source and len(source) == 12
    old, new = read_model(PATH), read_model(fresh(tmp_path))
    assert new.array("tokenizer.ggml.tokens") == old.array("tokenizer.ggml.tokens")
    assert new.chat_templates == old.chat_templates


def test_the_weights_are_drawn_as_for_gpt_2(tmp_path):
    found = arrays(fresh(tmp_path, Shape(8, 128, 4)))
    for name, values in found.items():
        if "norm" in name:
            assert (values == 1).all()
            continue
        adds = "attn_output" in name or "ffn_down" in name
        assert values.std() == pytest.approx(0.02 / (4 if adds else 1), rel=0.03), name
        assert abs(values.mean()) < values.std() / 20
    matrices = [hashlib.sha256(each.tobytes()).digest() for each in found.values() if each.ndim > 1]
    assert len({*matrices}) == len(matrices)


def test_the_seed_decides_the_weights(tmp_path):
    one = fresh(tmp_path).read_bytes()
    assert fresh(tmp_path).read_bytes() == one != fresh(tmp_path, seed=1).read_bytes()


@pytest.mark.parametrize(
    ("shape", "what", "cure"),
    [
        (Shape(1, 250, 4), "--hidden 250 --heads 4: each head needs an even", "--hidden 248"),
        (Shape(1, 100, 4), "--hidden 100 --heads 4", "--hidden 96"),
        (Shape(1, 8, 16), "--hidden 8 --heads 16", "--hidden 32"),
        (Shape(1, 64, 4, 3), "--kv-heads 3: 4 heads cannot share", "divides --heads"),
        (Shape(1, 64, 4, 8), "--kv-heads 8", "divides --heads"),
        (Shape(999, 65536, 64), "has 205970 GB", "fewer --layers"),
    ],
)
def test_shapes_that_no_model_has_are_refused(tmp_path, shape, what, cure):
    with pytest.raises(UsageError) as caught:
        fresh(tmp_path, shape)
    assert what in caught.value.message and cure in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_model_without_a_vocabulary_gives_none(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(encode([("general.architecture", 8, text("llama"))]))
    with pytest.raises(UsageError, match="has no vocabulary"):
        fresh(tmp_path, tokenizer=path)


@pytest.mark.real_model
def test_a_new_model_answers(program: Program):
    fresh(program.place, Shape(1, 32, 16))
    asked = ("-m", "fresh-0.gguf", "--json", "-n", "3", "--logprobs", "1")
    done = program.call("generate", "hi", *asked)
    assert done.code == 0, done.stderr
    # Nothing is known: each of 2048 tokens is about as likely as another.
    for token in done.json["tokens"]:
        assert token["entropy"] == pytest.approx(11, abs=0.1)


@pytest.mark.real_model
def test_a_new_model_splits_texts_as_the_other_does(tmp_path):
    metadata = sentencepiece()
    count = len(metadata["tokenizer.ggml.tokens"])
    other = write_llama(tmp_path / "m.gguf", vocabulary=count, metadata=metadata)
    with vocabulary(other) as one, vocabulary(fresh(tmp_path, tokenizer=other)) as two:
        for words in ("the fox", " cat\n", "é", "<s>a"):
            for special in (True, False):
                assert one.tokenize(words, special=special, begin=True) == two.tokenize(
                    words, special=special, begin=True
                )
        assert one.begin_token == two.begin_token == 1 and one.end_token == two.end_token == 2


def lora(header: Header, rank: int, names: tuple[str, ...], seed: int = 3):
    random = np.random.default_rng(seed)
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    return {
        name: (
            random.normal(0, 0.3, (rank, shapes[name][0])).astype(np.float32),
            random.normal(0, 0.3, (shapes[name][1], rank)).astype(np.float32),
        )
        for name in names
    }


@pytest.mark.real_model
@pytest.mark.parametrize(("rank", "alpha"), [(1, 1.0), (4, 8.0)])
def test_an_adapter_does_what_the_merged_weights_do(program: Program, rank, alpha):
    base = write_llama(program.place / "base.gguf")
    header = read_model(base)
    names = ("blk.0.attn_q.weight", "blk.1.attn_v.weight", "blk.1.ffn_down.weight")
    matrices = lora(header, rank, names)
    (program.place / "lora.gguf").write_bytes(adapter_bytes(matrices, alpha, "llama"))
    own = arrays(base)
    merged = {name: own[name] + alpha / rank * b @ a for name, (a, b) in matrices.items()}
    write_llama(program.place / "merged.gguf", tensors=merged)

    def likely(*arguments: str) -> dict[int, float]:
        done = program.call(
            "generate", "hello", "--json", "--logprobs", "20", "-n", "1", *arguments
        )
        assert done.code == 0, done.stderr
        return {each["id"]: each["logprob"] for each in done.json["tokens"][0]["top"]}

    adapted = likely("-m", "base.gguf", "--lora", "lora.gguf")
    assert adapted == pytest.approx(likely("-m", "merged.gguf"), abs=1e-3)
    assert adapted != pytest.approx(likely("-m", "base.gguf"), abs=1e-2)


def test_an_adapter_says_what_it_is(tmp_path):
    path = tmp_path / "lora.gguf"
    a, b = np.ones((2, 8), np.float32), np.zeros((6, 2), np.float32)
    path.write_bytes(adapter_bytes({"blk.0.attn_q.weight": (a, b)}, 3, "qwen2"))
    header = read_model(path)
    assert header.metadata == {
        "general.type": "adapter",
        "general.architecture": "qwen2",
        "adapter.type": "lora",
        "adapter.lora.alpha": 3.0,
    }
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("blk.0.attn_q.weight.lora_a", (8, 2)),
        ("blk.0.attn_q.weight.lora_b", (2, 6)),
    ]
    [alpha] = [f for f in gguf.GGUFReader(path).fields.values() if f.name == "adapter.lora.alpha"]
    assert alpha.types == [gguf.GGUFValueType.FLOAT32]


VALUES = st.one_of(
    st.integers(0, 2**32 - 1),
    st.text(max_size=9),
    st.floats(width=32),
    st.lists(st.text(max_size=5), max_size=3),
)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?", fullmatch=True), VALUES, max_size=5
    ),
    st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), max_size=4),
)
def test_what_is_written_is_read_again(tmp_path_factory, metadata, shapes):
    tensors = {
        f"t{number}": np.arange(math.prod(shape), dtype=np.float32).reshape(shape) + number
        for number, shape in enumerate(shapes)
    }
    path = tmp_path_factory.getbasetemp() / "again.gguf"
    path.write_bytes(written(metadata, tensors))
    header = read_model(path)
    assert repr(header.metadata) == repr(metadata)
    # And once more with the entries as they are.
    assert written(raw_entries(path, ""), tensors) == path.read_bytes()
    data = io.BytesIO(path.read_bytes())
    for tensor in header.tensors:
        assert np.prod(tensor.shape) == tensors[tensor.name].size
        data.seek(header.data_offset + tensor.offset)
        assert data.read(tensor.bytes) == tensors[tensor.name].tobytes()
