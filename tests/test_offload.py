"""Layers on a GPU: the same text as on the CPU, within the memory that was foretold.

Runs where the library has a GPU. Without one, Mesa's lavapipe is a device (docs/development.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from allocated import allocated, assert_foretold
from asked import LONG, SHORT, ends, raw, settings
from models import write_gguf, write_llama, write_mamba
from shapes import write_experts, write_hybrid, write_windowed

from llmparams_cli.backends.llama.host import devices, memory, plan
from llmparams_cli.backends.llama.host.devices import Device
from llmparams_cli.backends.llama.host.estimate import Simulation
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.models.resolve import GgufModel, find_model

NEAR_TIE = 0.1  # between the log-probabilities of two tokens that another rounding may swap
ALL = plan.ALL_LAYERS
GREEDY = ("--temperature", "0", "-n", "8", "--ignore-eos")
SHAPES: dict[str, Callable[[Path], Path]] = {
    "llama": lambda path: write_llama(path, layers=4, heads=2, context=1024),
    "quantised": lambda path: write_llama(
        path, layers=4, width=256, heads=4, feed_forward=512, context=1024, type="Q4_0"
    ),
    "experts": lambda path: write_experts(path, layers=4),
    "window": write_windowed,
    "recurrent": write_mamba,
    "hybrid": write_hybrid,
}


@pytest.fixture(scope="module", autouse=True)
def gpus() -> list[Device]:
    """Those of the library, which is loaded only now."""
    return devices.gpus() or pytest.skip("this library has no GPU")


@pytest.fixture
def two(gpus) -> list[str]:
    """What receipts call them."""
    if len(gpus) != 2:
        pytest.skip("about two GPUs")
    return names(gpus)


def names(gpus):
    return [f"{gpu.name} {gpu.description}" for gpu in gpus]


@pytest.fixture(scope="module")
def env(cache: Path) -> Environment:
    return Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)


@pytest.fixture(scope="module", params=SHAPES)
def model(request, tmp_path_factory, env) -> GgufModel:
    path = SHAPES[request.param](tmp_path_factory.mktemp("shape") / "model.gguf")
    return find_model(str(path), env)


def greedy(opener, path, text=SHORT, **values):
    """The tokens of an answer at temperature 0, each with the log-probabilities of two."""
    backend = opener(path, **values)
    request = raw(text, max_tokens=16, ignore_eos=True, logprobs=2, **values)
    (finished,) = ends(backend, [request])
    backend.close()
    return finished.tokens


def assert_same(one, other):
    """The same tokens, up to the first choice between two that are all but equal."""
    for here, there in zip(one, other, strict=True):
        if here.id != there.id:
            first, second = sorted((each.logprob for each in here.top), reverse=True)[:2]
            assert first - second < NEAR_TIE, (here, there)
            print(f"a near tie: {here} and {there}")  # pytest -rP shows it
            return


# The same text


@pytest.mark.parametrize("layers", (1, "half", "all", "auto"))
def test_layers_on_a_gpu_change_no_text(opener, model, layers):
    count = model.header.block_count // 2 if layers == "half" else layers
    alone = greedy(opener, str(model.path), gpu_layers=0)
    assert_same(alone, greedy(opener, str(model.path), gpu_layers=count))


@pytest.mark.parametrize(
    "values",
    (
        {"flash_attention": "off"},
        {"flash_attention": "on", "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"cache_type_k": "q8_0"},
        {"cache_type_k": "f32", "cache_type_v": "f32"},
        {"split_mode": "none"},
        {"split_mode": "layer", "tensor_split": [1.0]},
        {"split_mode": "tensor"},
        {"mmap": False},
    ),
    ids=str,
)
def test_nor_do_settings_of_its_memory(opener, values):
    alone = greedy(opener, None, LONG, gpu_layers=0, **values)
    assert_same(alone, greedy(opener, None, LONG, gpu_layers="all", **values))


def test_sixteen_answers_at_once_are_those_of_the_cpu(program):
    def texts(layers):
        compare = ("compare", SHORT, *GREEDY, "--samples", "16", "--grid", "top_k=1,40")
        done = program.call(*compare, "--gpu-layers", layers, "--json")
        assert done.code == 0, done.stderr
        return [sample["text"] for each in done.json["variants"] for sample in each["samples"]]

    assert texts("all") == texts("0")


def test_an_adapter_works_on_a_gpu(opener, tmp_path):
    path = write_llama(tmp_path / "model.gguf")
    adapter = _write_adapter(tmp_path / "adapter.gguf")
    plain = greedy(opener, str(path), gpu_layers=0)
    alone = greedy(opener, str(path), gpu_layers=0, lora=[str(adapter)])
    assert [token.id for token in plain] != [token.id for token in alone]
    assert_same(alone, greedy(opener, str(path), gpu_layers="all", lora=[str(adapter)]))


def _write_adapter(path):
    random = np.random.default_rng(1)
    metadata = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 64.0,
    }
    tensors = {
        "blk.0.attn_q.weight.lora_a": (random.standard_normal((4, 64), np.float32), None),
        "blk.0.attn_q.weight.lora_b": (random.standard_normal((64, 4), np.float32), None),
        "blk.1.ffn_down.weight.lora_a": (random.standard_normal((4, 128), np.float32), None),
        "blk.1.ffn_down.weight.lora_b": (random.standard_normal((64, 4), np.float32), None),
    }
    return write_gguf(path, "llama", metadata, tensors)


# Every command


def test_chat_explain_and_tests_of_presets_run_on_a_gpu(program):
    (program.place / "llmparams.yaml").write_text("parameters:\n  gpu_layers: all\n")
    (program.place / "p.yaml").write_text(
        "parameters:\n  temperature: 0\n  max_tokens: 4\n"
        "tests:\n  - input: Once upon a time\n    seeds: 2\n    expect:\n      contains: a\n"
    )
    explained = program.call("explain", SHORT, "-n", "3", "--json")
    assert explained.code == 0, explained.stderr
    chatted = program.call("chat", "-n", "4", stdin=b"Hello!\n/retry\nAnd now?\n")
    assert chatted.code == 0, chatted.stderr
    tested = program.call("presets", "test", "p.yaml")
    assert tested.code == 0, tested.text + tested.stderr


def test_a_receipt_names_the_gpu_with_its_layers_and_is_replayed(gpus, program):
    done = program.call("generate", SHORT, *GREEDY, "--receipt", "r.json", "--gpu-layers", "all")
    assert done.code == 0, done.stderr
    receipt = json.loads((program.place / "r.json").read_text())
    layers = find_model(None, Environment(variables={})).header.block_count + 1
    told = receipt["device"]["gpus"]
    assert [gpu.rpartition(":")[0] for gpu in told] == names(gpus)
    assert sum(int(re.search(r": (\d+) of", gpu)[1]) for gpu in told) == layers
    assert program.call("replay", "r.json").code == 0
    program.call("generate", SHORT, *GREEDY, "--receipt", "0.json", "--gpu-layers", "0")
    assert json.loads((program.place / "0.json").read_text())["device"]["gpus"] == []


# Memory


@pytest.mark.parametrize("layers", (0, 2, ALL))
@pytest.mark.parametrize(
    "values", ({}, {"flash_attention": "off"}, {"mmap": False, "cache_type_k": "q8_0"}), ids=str
)
def test_every_buffer_has_the_size_that_was_foretold(gpus, env, model, layers, values):
    given = settings(**values)
    with closing(Simulation(env, model, given, layers)) as simulation:
        foretold = simulation.estimate(given, 1024)
    real = allocated(env, model, given, 1024, layers=layers)
    assert_foretold(foretold, real, more=_copies(gpus, model) if layers == ALL else 0)


def _copies(gpus: list[Device], model: GgufModel) -> int:
    """Bytes of a layer's output for 512 tokens, four times: llama.cpp counts that in, and does not
    take it, where several GPUs work as a pipeline.
    """
    return 4 * 512 * model.header.embedding_length * 4 if len(gpus) > 1 else 0


@pytest.fixture(scope="module")
def deep(tmp_path_factory, env) -> GgufModel:
    """One whose cache can be larger than a GPU, though each layer's is short."""
    place = tmp_path_factory.mktemp("deep") / "model.gguf"
    path = write_llama(place, layers=48, width=128, heads=1, kv_heads=1, context=1 << 20)
    return find_model(str(path), env)


def test_as_many_layers_as_fit_are_chosen_and_one_more_is_refused(gpus, env, deep, program):
    least = min(gpu.free for gpu in gpus) * len(gpus)
    context = int(least * 1.3 / 48 / 512)
    given = settings(context=context)
    chosen = plan.layers_on_gpus(env, deep, given)
    free = memory.free_memory()
    assert 0 < chosen < 49
    for layers, fits in ((chosen, True), (chosen + 1, False)):
        with closing(Simulation(env, deep, given, layers)) as simulation:
            assert (memory.lack(simulation.estimate(given, context), free) == "") is fits
    flags = ("-m", str(deep.path), "--context", str(context), "--gpu-layers", str(chosen + 1))
    line = program.call("generate", "hi", *flags).complaint(ExitCode.BACKEND)
    assert f"gpu_layers {chosen + 1} (flag --gpu-layers) needs " in line
    assert f"are free on {gpus[0].name}" in line
    assert f"with this context {chosen} fit" in line


@pytest.mark.parametrize("values", ({}, {"tensor_split": [3.0, 1.0]}, {"tensor_split": [0.0, 1.0]}))
def test_each_of_several_gpus_holds_what_was_foretold_for_it(two, gpus, env, model, values):
    given = settings(**values)
    with closing(Simulation(env, model, given, ALL)) as simulation:
        foretold = simulation.estimate(given, 1024)
    real = allocated(env, model, given, 1024, layers=ALL)
    assert_foretold(foretold, real, more=_copies(gpus, model))


def test_the_gpu_with_the_larger_share_decides_how_many_layers_fit(two, gpus, env, deep):
    context = int(gpus[0].free * 1.3 / 48 / 512)
    even = plan.layers_on_gpus(env, deep, settings(context=context, tensor_split=[1.0, 1.0]))
    uneven = plan.layers_on_gpus(env, deep, settings(context=context, tensor_split=[1.0, 9.0]))
    alone = plan.layers_on_gpus(env, deep, settings(context=context, split_mode="none", main_gpu=1))
    assert even in (48, ALL)  # all layers work as a pipeline, which takes more memory
    assert 0 < alone <= uneven < 48


# Several GPUs


def test_a_split_over_several_gpus_changes_no_text(two, opener, model):
    alone = greedy(opener, str(model.path), gpu_layers=0)
    for values in (
        {"tensor_split": [3.0, 1.0]},
        {"split_mode": "none", "main_gpu": 1},
        {"gpu_layers": 2, "tensor_split": [1.0, 1.0]},
    ):
        assert_same(alone, greedy(opener, str(model.path), **{"gpu_layers": "all"} | values))


def test_a_receipt_tells_the_layers_of_each_gpu(two, program):
    def gpus(*flags):
        done = program.call("generate", SHORT, "-n", "1", *flags, "--receipt", "r.json")
        assert done.code == 0, done.stderr
        return json.loads((program.place / "r.json").read_text())["device"]["gpus"]

    first, second = gpus("--gpu-layers", "4", "--tensor-split", "3,1")
    assert (first, second) == (f"{two[0]}: 3 of 7 layers", f"{two[1]}: 1 of 7 layers")
    assert gpus("--split-mode", "none", "--main-gpu", "1") == [f"{two[1]}: 7 of 7 layers"]
    divided = gpus("--split-mode", "tensor")
    assert divided == [f"{name}: a part of 7 layers" for name in two]


# What a device refuses


def test_a_gpu_that_is_not_there_is_named(gpus, program):
    number = str(len(gpus))
    flags = ("--split-mode", "none", "--main-gpu", number)
    line = program.call("generate", "hi", *flags).complaint(ExitCode.USAGE)
    assert f"main_gpu {number} (flag --main-gpu): there is no such GPU" in line
    shares = ",".join("1" * (len(gpus) + 1))
    line = program.call("generate", "hi", "--tensor-split", shares).complaint(ExitCode.USAGE)
    assert f"tensor_split (flag --tensor-split) has {len(gpus) + 1} shares" in line
    assert gpus[0].name in line


def test_a_split_that_a_device_does_not_have_is_named(gpus, program):
    if all(devices.divides_rows(gpu.name) for gpu in gpus):
        pytest.skip("these GPUs divide rows")
    line = program.call("generate", "hi", "--split-mode", "row").complaint(ExitCode.USAGE)
    assert "split_mode row (flag --split-mode): " in line


def test_a_cache_in_pieces_that_are_too_long_for_a_gpu_stays_in_memory(gpus, program):
    if devices.holds_tensor(gpus[0].name, gpus[0].total):
        pytest.skip("no limit for tensors")
    low, high = 1, gpus[0].total // 512  # 512 bytes a token in each layer of the built-in model
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if devices.holds_tensor(gpus[0].name, middle * 512) else (low, middle)
        )
    long = ("generate", SHORT, *GREEDY, "--context", str(high))
    line = program.call(*long, "--gpu-layers", "all").complaint(ExitCode.BACKEND)
    assert f"too long for {gpus[0].name}" in line
    automatic = program.call(*long)
    assert automatic.code == 0, automatic.stderr
    assert automatic.text == program.call("generate", SHORT, *GREEDY, "--gpu-layers", "0").text


# What is told


def test_doctor_lists_every_gpu_with_its_memory(gpus, program):
    checks = {check["name"]: check for check in program.call("doctor", "--json").json["gpu"]}
    for gpu in gpus:
        assert re.fullmatch(
            rf"{re.escape(gpu.description)}, [\d.]+ [kMGT]B free of [\d.]+ [kMGT]B",
            checks[gpu.name]["value"],
        )
        assert checks[gpu.name]["health"] == "ok"
