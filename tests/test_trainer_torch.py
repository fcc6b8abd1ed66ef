"""Training with PyTorch: the seam's promises, and what llama.cpp computes for the same model."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from asked import settings
from models import write_llama
from shapes import _write, write_windowed
from trainers import both_learn_alike, recipe, row

from llmparams_cli.backends.llama.training.trainer import LlamaTrainer
from llmparams_cli.backends.pytorch import device, libraries
from llmparams_cli.backends.pytorch.trainer import open_trainer
from llmparams_cli.errors import BackendError
from llmparams_cli.models.gguf import read_header
from llmparams_cli.protocol import Chunk
from llmparams_cli.training.trainer import Lora, Row

WIDTH, HEAD = 64, 256  # the length of a head that transformers assumes of Gemma
MATRIX, NORM = "blk.0.attn_q.weight", "blk.1.ffn_norm.weight"
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
TRAINED = (EMBEDDING, MATRIX, "blk.0.attn_k.weight", "blk.1.ffn_down.weight", NORM)
SEED = np.random.default_rng(7)
ROWS = [row(SEED, 24, learned=12), row(SEED, 40), row(SEED, 9)]


def write_gemma(path):
    """Like Gemma 3: norms stored with one added, an output tied to the embedding."""
    shapes = {"token_embd.weight": (300, WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(2):
        parts = {
            **{f"{norm}.weight": (WIDTH,) for norm in ("attn_norm", "ffn_norm")},
            **{f"post_{norm}.weight": (WIDTH,) for norm in ("attention_norm", "ffw_norm")},
            "attn_q.weight": (HEAD, WIDTH),
            "attn_k.weight": (HEAD, WIDTH),
            "attn_v.weight": (HEAD, WIDTH),
            "attn_q_norm.weight": (HEAD,),
            "attn_k_norm.weight": (HEAD,),
            "attn_output.weight": (WIDTH, HEAD),
            "ffn_gate.weight": (128, WIDTH),
            "ffn_up.weight": (128, WIDTH),
            "ffn_down.weight": (WIDTH, 128),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in parts.items()}
    sizes = {
        "block_count": 2,
        "context_length": 256,
        "embedding_length": WIDTH,
        "feed_forward_length": 128,
        "attention.head_count": 1,
        "attention.head_count_kv": 1,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "attention.sliding_window": 16,
        "rope.freq_base": 1e6,
    }
    return with_norms(_write(path, "gemma3", shapes, "F32", **sizes))


def write_tied(path):
    return with_norms(write_llama(path, tensors={OUTPUT: None}))


def write_apart(path):
    """A model whose queries have biases and whose frequencies are divided, as Llama 3's are."""
    factors = np.linspace(1, 8, 8, dtype=np.float32)
    return with_norms(write_llama(path, tensors={"rope_freqs.weight": factors}))


def with_norms(path):
    """The file, its norms at random in place of ones: some lose bits when one is taken away."""
    header, data = read_header(path), np.memmap(path, np.uint8, "r+")
    for tensor in header.tensors:
        if "norm" in tensor.name:
            begin = header.data_offset + tensor.offset
            values = data[begin : begin + tensor.bytes].view("<f4")
            values[:] = np.random.default_rng(begin).uniform(0.01, 3, values.size)
    data.flush()
    return path


WRITERS = {"llama": write_llama, "tied": write_tied, "gemma": write_gemma, "divided": write_apart}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("f32")
    return {name: write(folder / f"{name}.gguf") for name, write in WRITERS.items()}


@pytest.fixture
def opened():
    """Opens trainers, and closes them."""
    trainers = []

    def open_one(path, names=TRAINED, **values):
        trainers.append(open_trainer(path, recipe(names, **values)))
        return trainers[-1]

    yield open_one
    for trainer in trainers:
        trainer.close()


def stored(path):
    header = read_header(path)
    data = path.read_bytes()
    return {
        tensor.name: np.frombuffer(
            data, "<f4", tensor.elements, header.data_offset + tensor.offset
        ).reshape(tensor.shape[::-1])
        for tensor in header.tensors
        if tensor.name != "rope_freqs.weight"
    }


def bits(arrays):
    return {name: array.tobytes() for name, array in arrays.items()}


def changed(trainer, path):
    before = stored(path)
    return {n for n, array in trainer.weights().items() if array.tobytes() != before[n].tobytes()}


@pytest.mark.parametrize("kind", WRITERS)
def test_weights_come_back_bit_by_bit(files, opened, kind):
    arrays = stored(files[kind])
    weights = opened(files[kind], tuple(arrays)).weights()
    assert bits(weights) == bits(arrays)
    assert {n: array.shape for n, array in weights.items()} == {
        n: array.shape for n, array in arrays.items()
    }


@pytest.mark.parametrize("kind", WRITERS)
def test_the_loss_is_llama_cpp_s(files, opened, opener, kind):
    """Computed by it in F32 throughout."""
    exact = {"context": 64, "cache_type_k": "f32", "cache_type_v": "f32", "flash_attention": "off"}
    reader = opener(str(files[kind]), **exact)
    trainer = opened(files[kind])
    for one in ROWS:
        chunk = Chunk(tuple(map(int, one.tokens)), 1)
        logits = np.concatenate([*reader.logits([chunk], settings(**exact))])
        logits = logits.astype(np.float64)
        logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        nats = -logits[np.arange(len(logits)), one.tokens[1:]][one.learned[1:]].sum()
        assert trainer.loss([one]).nats == pytest.approx(nats, rel=1e-4)


def test_rows_padded_and_cut_into_batches_learn_as_one_by_one(files, opened):
    whole, cut = opened(files["llama"]), opened(files["llama"])
    cut._most = 1
    assert cut.loss(ROWS).nats == pytest.approx(whole.loss(ROWS).nats, rel=1e-5)
    assert cut.loss(ROWS).tokens == 12 + 39 + 8
    for _ in range(2):
        one, other = whole.step(ROWS, 1e-3), cut.step(ROWS, 1e-3)
        assert one.loss.nats == pytest.approx(other.loss.nats, rel=1e-5)
        assert one.norm == pytest.approx(other.norm, rel=1e-4)
    for name, array in whole.weights().items():
        assert np.allclose(array, cut.weights()[name], rtol=1e-3, atol=1e-5)


def test_the_loss_counts_every_token_alike(files, opened):
    """Not every row, nor every batch, whatever its length."""
    trainer = opened(files["llama"])
    trainer._most = 1
    apart = [trainer.loss([one]) for one in ROWS]
    step = trainer.step(ROWS, 0.0)
    assert step.loss.tokens == sum(loss.tokens for loss in apart)
    assert step.loss.nats == pytest.approx(sum(loss.nats for loss in apart), rel=1e-6)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_step_makes_the_loss_less(files, opened, optimiser):
    trainer = opened(files["llama"], optimiser=optimiser)
    before = trainer.loss(ROWS)
    trainer.step(ROWS, 1e-2)
    assert trainer.loss(ROWS).mean < before.mean


@pytest.mark.parametrize("kind", ["tied", "gemma"])
def test_only_named_tensors_change(files, opened, kind):
    path = files[kind]
    trainer = opened(path, (MATRIX, NORM))
    trainer.step(ROWS, 1e-3)
    assert changed(trainer, path) == {MATRIX, NORM}
    parameters = dict(trainer._module.named_parameters())
    learning = [name for name, parameter in parameters.items() if parameter.requires_grad]
    assert len(learning) == 2
    whole = opened(path)
    for name, parameter in whole._module.named_parameters():
        if name not in learning:
            assert np.array_equal(parameter.detach().numpy(), parameters[name].detach().numpy())


def test_tied_embeddings_learn(files, opened):
    trainer = opened(files["tied"], (EMBEDDING,))
    trainer.step(ROWS, 1e-3)
    assert changed(trainer, files["tied"]) == {EMBEDDING}


def test_the_token_for_padding_learns_too(files, opened, tmp_path):
    path = write_llama(tmp_path / "m.gguf", metadata={"tokenizer.ggml.padding_token_id": 5})
    trainer = opened(path, (EMBEDDING,), weight_decay=0.0)
    tokens = np.array([5, 6, 5, 7], np.int32)
    trainer.step([Row(tokens, np.array([False, True, True, True]))], 1e-3)
    assert not np.array_equal(trainer.weights()[EMBEDDING][5], stored(path)[EMBEDDING][5])


def test_only_matrices_decay(files, opened):
    path = files["llama"]
    trainer = opened(path, (MATRIX, NORM), optimiser="sgd", weight_decay=1.0, clip=1e-9)
    trainer.step(ROWS, 0.5)  # of a gradient that is almost nothing
    assert np.allclose(trainer.weights()[MATRIX], stored(path)[MATRIX] / 2, atol=1e-6)
    assert np.allclose(trainer.weights()[NORM], stored(path)[NORM], atol=1e-6)


def test_a_long_gradient_is_clipped(files, opened):
    path = files["llama"]
    trainer = opened(path, optimiser="sgd", weight_decay=0.0, clip=0.01)
    step = trainer.step(ROWS, 1.0)
    before = stored(path)
    moved = sum(np.square(a - before[n]).sum() for n, a in trainer.weights().items())
    assert step.norm > 0.1
    assert np.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("lora", [None, Lora(2, 4.0)])
def test_a_run_goes_on_from_its_state(files, opened, optimiser, lora):
    names = (MATRIX, "blk.1.ffn_down.weight") if lora else TRAINED
    one, other = (opened(files["llama"], names, optimiser=optimiser, lora=lora) for _ in "ab")
    one.step(ROWS, 1e-3)
    state = one.state()
    saved = bits(state)
    other.restore(state)
    for trainer in (one, other):
        trainer.step(ROWS[1:], 1e-3)
        trainer.step(ROWS, 2e-3)
    assert bits(one.weights()) == bits(other.weights())
    assert bits(one.state()) == bits(other.state())
    assert bits(state) == saved, "what was saved is a copy"
    assert one.loss(ROWS) == other.loss(ROWS)


def test_a_state_from_before_the_first_step(files, opened):
    trainer = opened(files["llama"])
    state = trainer.state()
    first = trainer.step(ROWS, 1e-3)
    weights = bits(trainer.weights())
    trainer.restore(state)
    assert not changed(trainer, files["llama"])
    assert trainer.step(ROWS, 1e-3) == first
    assert bits(trainer.weights()) == weights


def test_another_run_s_state_is_refused(files, opened):
    state = opened(files["llama"], (MATRIX,)).state()
    with pytest.raises(BackendError, match="other tensors"):
        opened(files["llama"], (NORM,)).restore(state)


def test_a_loss_that_is_no_number_changes_nothing(files, opened):
    trainer = opened(files["llama"])
    trainer.step(ROWS, np.inf)
    before = bits(trainer.state())
    step = trainer.step(ROWS, 1e-3)
    assert not np.isfinite(step.loss.nats)
    assert bits(trainer.state()) == before


def test_rows_without_anything_to_learn_change_nothing(files, opened):
    trainer = opened(files["llama"])
    tokens = np.arange(5, dtype=np.int32)
    step = trainer.step([Row(tokens, np.zeros(5, bool))], 1e-3)
    assert (step.loss.nats, step.loss.tokens, step.norm) == (0.0, 0, 0.0)
    assert not changed(trainer, files["llama"])


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_an_adapter_is_merged(files, opened, kind):
    names = (MATRIX, "blk.0.attn_k.weight", "blk.1.ffn_down.weight")
    trainer, before = opened(files[kind], names, lora=Lora(4, 8.0)), stored(files[kind])
    assert not changed(trainer, files[kind])
    assert all(not b.any() for _, b in trainer.adapter().values())
    first = trainer.loss(ROWS)
    for _ in range(2):
        trainer.step(ROWS, 1e-2)
    assert trainer.loss(ROWS).mean < first.mean
    assert set(trainer.adapter()) == set(names) == changed(trainer, files[kind])
    for name, (a, b) in trainer.adapter().items():
        rows, columns = before[name].shape
        assert a.shape == (4, columns) and b.shape == (rows, 4)
        assert np.allclose(trainer.weights()[name], before[name] + 2.0 * b @ a, atol=1e-6)


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_what_an_adapter_is_merged_into_computes_the_same(files, opened, tmp_path, kind):
    names = (MATRIX, "blk.0.attn_k.weight", "blk.1.ffn_down.weight")
    trainer = opened(files[kind], names, lora=Lora(4, 8.0))
    trainer.step(ROWS, 1e-2)
    path = tmp_path / "merged.gguf"
    path.write_bytes(files[kind].read_bytes())
    header, data = read_header(path), np.memmap(path, np.uint8, "r+")
    for tensor in header.tensors:
        if tensor.name in names:
            begin = header.data_offset + tensor.offset
            written = trainer.weights()[tensor.name].tobytes()
            data[begin : begin + tensor.bytes] = np.frombuffer(written, np.uint8)
    data.flush()
    assert opened(path).loss(ROWS).nats == pytest.approx(trainer.loss(ROWS).nats, rel=1e-5)


def test_an_adapter_s_beginning_follows_from_the_seed(files, opened):
    one, same, other = (
        opened(files["llama"], (MATRIX,), lora=Lora(4, 8.0), seed=seed) for seed in (1, 1, 2)
    )
    beginnings = [trainer.adapter()[MATRIX][0] for trainer in (one, same, other)]
    assert np.array_equal(beginnings[0], beginnings[1])
    assert not np.array_equal(beginnings[0], beginnings[2])
    assert 0.9 / 8 < np.abs(beginnings[0]).max() <= 1 / 8  # 1 / √64 columns


@pytest.mark.parametrize("name", [NORM, EMBEDDING])
def test_what_multiplies_nothing_gets_no_adapter(files, opened, name):
    with pytest.raises(BackendError, match=name):
        opened(files["llama"], (name,), lora=Lora(4, 8.0))


def test_bf16_is_close_to_f32(files, opened):
    exact, short = (opened(files["llama"], precision=precision) for precision in ("f32", "bf16"))
    assert "F32, 1 thread" in exact.how and "bf16" in short.how
    assert short.step(ROWS, 1e-3).loss.nats == pytest.approx(exact.loss(ROWS).nats, rel=1e-2)
    assert all(array.dtype == np.float32 for array in short.weights().values())


def test_precision_is_chosen_by_the_processor(monkeypatch):
    monkeypatch.setattr(device, "_is_bf16_fast", lambda _name: True)
    assert device.chosen(recipe((), precision="auto")).bf16
    monkeypatch.setattr(device, "_is_bf16_fast", lambda _name: False)
    assert not device.chosen(recipe((), precision="auto")).bf16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blk.0.extra.weight": np.ones(4, np.float32)}, "no place for 'blk.0.extra.weight'"),
        ({"blk.1.ffn_norm.weight": None}, "layers.1.post_attention_layernorm"),
    ],
)
def test_a_model_that_transformers_reads_in_part_is_refused(opened, tmp_path, change, words):
    path = write_llama(tmp_path / "m.gguf", tensors=change)
    with pytest.raises(BackendError, match=words) as caught:
        opened(path, (MATRIX,))
    assert "llama.cpp" in caught.value.hint


def test_what_transformers_would_compute_otherwise_is_refused(opened, tmp_path):
    factor = {"llama.rope.scaling.factor": 8.0}
    with pytest.raises(BackendError, match=r"passes over llama\.rope\.scaling\.factor"):
        opened(write_llama(tmp_path / "far.gguf", metadata=factor))
    with pytest.raises(BackendError, match="takes 256 for 32 in attention"):
        opened(write_windowed(tmp_path / "short.gguf"))


def test_fewer_rows_at_a_time_where_memory_is_short(files, opened, monkeypatch):
    whole, short = opened(files["llama"]), opened(files["llama"])
    compute = short._nats

    def small(batch):
        if batch.tokens.numel() > 50:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 TB.")
        return compute(batch)

    monkeypatch.setattr(short, "_nats", small)
    assert short.step(ROWS, 1e-3).norm == pytest.approx(whole.step(ROWS, 1e-3).norm, rel=1e-4)
    assert short.loss(ROWS).nats == pytest.approx(whole.loss(ROWS).nats, rel=1e-4)


def test_other_models_are_refused(opened, files, tmp_path):
    with pytest.raises(BackendError, match=r"only a model in F32 .* 'token_embd.weight'"):
        opened(write_llama(tmp_path / "q.gguf", type="Q8_0"))
    with pytest.raises(BackendError, match=r"cannot train 'blk\.9\.attn_q\.weight'"):
        opened(files["llama"], ("blk.9.attn_q.weight",))


def test_a_lack_of_memory_has_a_cure(files, opened, monkeypatch):
    trainer = opened(files["llama"])
    before = bits(trainer.state())

    def full(*_args, **_values):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 TB")

    monkeypatch.setattr(trainer, "_nats", full)
    with pytest.raises(BackendError, match="out of memory") as caught:
        trainer.step(ROWS, 1e-3)
    assert "--context" in caught.value.hint
    assert bits(trainer.state()) == before


def test_without_the_libraries_the_cure_is_to_install_them(monkeypatch):
    assert libraries.available()
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == "peft" else name)
    assert not libraries.available()
    with pytest.raises(BackendError, match="needs peft") as caught:
        libraries.require()
    assert caught.value.hint == "pip install 'llmparams[train]'"


def test_nothing_is_written_to_stderr(files, opened, capfd):
    opened(files["gemma"], (MATRIX,), lora=Lora(2, 4.0)).step(ROWS, 1e-3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("kind", ["llama", "tied"])
def test_both_engines_learn_alike(files, optimiser, kind):
    names = tuple(name for name in TRAINED if name != EMBEDDING)  # never learned by llama.cpp
    both_learn_alike(
        files[kind], recipe(names, optimiser=optimiser), (open_trainer, LlamaTrainer), ROWS
    )


@pytest.mark.parametrize("kind", ["llama", "tied"])
def test_both_engines_learn_the_same_adapter(files, kind):
    names = (MATRIX, "blk.0.attn_k.weight", "blk.1.ffn_down.weight")
    both_learn_alike(
        files[kind], recipe(names, lora=Lora(4, 8.0)), (open_trainer, LlamaTrainer), ROWS
    )
