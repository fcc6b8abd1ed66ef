"""`inspect`: what a model's header says, on one screen, whatever the file is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType as Type
from models import CHAT_TEMPLATE, encode, text, write_gguf, write_llama, write_mamba
from program import Program

from llmparams_cli.analysis.memory import Need
from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.inspect.fit import _fitting
from llmparams_cli.models.anatomy import anatomy, place
from llmparams_cli.models.architecture import architecture
from llmparams_cli.models.builtin import PATH as BUILTIN
from llmparams_cli.models.gguf import read_header
from llmparams_cli.models.tokenizer import tokenizer
from llmparams_cli.templates.abilities import abilities

Arrays = dict[str, tuple[npt.NDArray[Any] | None, Type | None]]
U32, FLOAT, TEXT, ARRAY = 4, 6, 8, 9
RED = "\x1b[31m\u202ered\n"


def write_sparse(path: Path, size: int = 50 << 30) -> Path:
    """A llama model of some more bytes, of which only the header is written."""
    width, layers = 4096, 16
    feed_forward = size // (3 * layers * width * 4)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(32)
    writer.add_head_count_kv(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{number}" for number in range(2000)])
    writer.add_token_merges(["a b"])
    shapes = {"token_embd.weight": (2000, width), "output_norm.weight": (width,)}
    for layer in range(layers):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (width,),
            f"blk.{layer}.attn_q.weight": (width, width),
            f"blk.{layer}.attn_k.weight": (1024, width),
            f"blk.{layer}.attn_v.weight": (1024, width),
            f"blk.{layer}.attn_output.weight": (width, width),
            f"blk.{layer}.ffn_norm.weight": (width,),
            f"blk.{layer}.ffn_gate.weight": (feed_forward, width),
            f"blk.{layer}.ffn_up.weight": (feed_forward, width),
            f"blk.{layer}.ffn_down.weight": (width, feed_forward),
        }
    shapes["output.weight"] = (2000, width)
    for name, shape in shapes.items():
        writer.add_tensor_info(name, shape, np.dtype(np.float32), 4 * int(np.prod(shape)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + sum(4 * int(np.prod(s)) + 32 for s in shapes.values()))
    return path


# What a language model says


def test_the_main_view_fits_one_screen(program: Program) -> None:
    done = program.call("inspect")
    lines = done.text.splitlines()
    assert (done.code, done.stderr) == (0, "")
    assert 24 <= len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert lines[0] == "llmparams-tiny  llama, F16, 11.3 MB"
    assert "weights  5,639,424    biases  none" in lines
    assert "  6 layers alike, each 852,480 weights" in lines
    assert any("layers 6   hidden size 256   heads 4   kv heads 4" in line for line in lines)
    assert any("tied embeddings yes" in line for line in lines)
    assert "chat template  system yes   tools no   thinking no   (198 characters)" in lines
    assert any("bos/padding 0 <|endoftext|>   eos/eot 2 <|im_end|>" in line for line in lines)


def test_on_a_narrow_terminal_too(program: Program) -> None:
    shown = program.terminal("inspect", width=80).end()
    assert shown.code == 0
    assert "  layers 6   hidden size 256   heads 4   kv heads 4   head size 64" in shown.lines
    assert any(line.startswith("weights  5,639,424") for line in shown.lines)
    assert len(shown.lines) <= 40


def test_a_narrow_terminal_breaks_between_items(program: Program) -> None:
    lines = program.terminal("inspect", width=48).end().lines
    at = lines.index("tokenizer  byte-level BPE (smollm)")
    assert lines[at + 1] == "  2,048 tokens (3 control), 1,789 merges"
    at = lines.index("chat template  system yes   tools no")
    assert lines[at + 1] == "  thinking no   (198 characters)"


def test_the_figures_are_those_of_the_reference_reader() -> None:
    header, reference = read_header(BUILTIN), gguf.GGUFReader(BUILTIN)
    body = anatomy(header.tensors)
    assert body.parameters == sum(int(tensor.n_elements) for tensor in reference.tensors)
    assert body.bytes == sum(int(tensor.n_bytes) for tensor in reference.tensors)
    facts = architecture(header)
    fields = {key: field.contents() for key, field in reference.fields.items()}
    assert facts["layers"] == fields["llama.block_count"]
    assert facts["rope_base"] == fields["llama.rope.freq_base"]
    assert facts["vocabulary"] == len(fields["tokenizer.ggml.tokens"])
    words = tokenizer(header)
    assert words.types == {"control": fields["tokenizer.ggml.token_type"].count(3)}
    assert words.merges == len(fields["tokenizer.ggml.merges"])
    special = {token.role: token.text for token in words.special}
    ids = {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "padding_token_id"}
    for role, key in ids.items():
        wanted = fields["tokenizer.ggml.tokens"][fields[f"tokenizer.ggml.{key}"]]
        assert special[role] == wanted


def test_weights_and_biases_are_counted_apart(program: Program, tmp_path: Path) -> None:
    bias = np.ones(64, np.float32)
    tensors = {f"blk.{layer}.attn_q.bias": bias for layer in range(2)}
    path = write_llama(tmp_path / "m.gguf", tensors=tensors)
    found = program.call("inspect", str(path), "--json").json["parameters"]
    assert (found["weights"], found["biases"]) == (read_header(path).parameters - 128, 128)
    [queries] = [part for part in found["by_kind"] if part["kind"] == "attention q"]
    assert (queries["weights"], queries["biases"]) == (2 * 64 * 64, 128)
    [layers] = found["by_layer"]
    assert (layers["layers"], layers["biases_each"]) == ([0, 1], 64)
    outside = sum(part["weights"] for part in found["outside_layers"])
    assert outside + 2 * layers["weights_each"] == found["weights"]
    text = program.call("inspect", str(path)).text
    assert "biases  128" in text
    assert "2 layers alike, each 36,992 weights and 64 biases" in text


def test_layers_that_differ_are_told_apart(program: Program, tmp_path: Path) -> None:
    extra = {"blk.1.ffn_gate_inp.weight": np.ones((4, 64), np.float32)}
    path = write_llama(tmp_path / "m.gguf", layers=4, tensors=extra)
    text = program.call("inspect", str(path)).text
    assert "3 layers alike, each 36,992 weights (0, 2–3)" in text
    assert "1 layer, 37,248 weights (1)" in text


def test_many_kinds_of_layers_are_cut_and_said_to_be(program: Program, tmp_path: Path) -> None:
    extra = {
        f"blk.{layer}.ffn_gate_inp.weight": np.ones((layer + 1, 64), np.float32)
        for layer in range(23)
    }
    path = write_llama(tmp_path / "m.gguf", layers=23, tensors=extra)
    text = program.call("inspect", str(path)).text
    assert text.count("  1 layer, ") == 20 and "  … 3 more: --json has all\n" in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("token_embd.weight", "embeddings"),
        ("blk.0.attn_q.weight", "attention q"),
        ("blk.0.attn_q_a.weight", "attention q"),
        ("blk.0.attn_qkv.bias", "attention q k v"),
        ("blk.0.attn_kv_a_mqa.weight", "attention q k v"),
        ("blk.0.attn_q_norm.weight", "norms"),
        ("blk.0.post_ffw_norm.weight", "norms"),
        ("blk.0.attn_output.weight", "attention output"),
        ("blk.0.ffn_gate_inp.weight", "router"),
        ("blk.0.ffn_gate_exps.weight", "experts gate"),
        ("blk.0.ffn_down.3.weight", "experts down"),
        ("blk.0.ffn_up_shexp.weight", "shared experts"),
        ("blk.0.ffn_gate.weight", "feed-forward gate"),
        ("blk.0.ssm_a", "state space"),
        ("blk.0.time_mix_key.weight", "recurrence"),
        ("enc.blk.2.attn_k.weight", "attention k"),
        ("v.blk.2.ln1.weight", "norms"),
        ("v.patch_embd.weight", "embeddings"),
        ("blk.0.attn_v.weight.lora_a", "attention v"),
        ("output.weight", "output"),
        ("mm.0.weight", "projector"),
        ("rope_freqs.weight", "rope factors"),
        ("blk.0.new\nthing.weight", "other"),
    ],
)
def test_what_a_tensor_is_for_is_told_by_its_name(name: str, kind: str) -> None:
    assert place(name).kind == kind


def test_a_tensor_belongs_to_a_layer_of_a_tower() -> None:
    assert place("enc.blk.12.attn_k.bias")[1:] == (12, "enc", True)
    assert place("blk.3.ffn_up.weight")[1:] == (3, "", False)
    assert place("output_norm.weight")[1:] == (None, "", False)


def test_the_architecture_in_numbers(tmp_path: Path) -> None:
    extra = {
        "llama.expert_count": 8,
        "llama.expert_used_count": 2,
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 4.0,
        "llama.attention.sliding_window": 128,
        "llama.attention.head_count_kv": [2, 0],
        "llama.some.new.thing": 3,
    }
    facts = architecture(read_header(write_llama(tmp_path / "m.gguf", metadata=extra)))
    assert (facts["experts"], facts["experts_used"]) == (8, 2)
    assert (facts["rope_scaling"], facts["rope_factor"]) == ("yarn", 4.0)
    assert facts["sliding_window"] == 128
    assert facts["heads_kv"] == [2, 0]
    assert facts["some.new.thing"] == 3
    assert facts["tied_embeddings"] is False
    assert "experts" not in architecture(read_header(BUILTIN))


def test_recommended_settings_and_origin(program: Program, tmp_path: Path) -> None:
    extra = {
        "general.sampling.temp": 0.7,
        "general.license": "mit",
        "general.author": "somebody",
        "general.base_model.0.name": "Parent",
        "general.base_model.0.repo_url": "https://example.org/parent",
    }
    path = write_llama(tmp_path / "m.gguf", metadata=extra)
    lines = program.call("inspect", str(path)).text.splitlines()
    origin = "  license mit   author somebody   base model Parent, https://example.org/parent"
    assert origin in lines
    assert lines[lines.index("recommended sampling") + 1] == "  temp 0.7"
    found = program.call("inspect", str(path), "--json").json
    assert found["origin"]["base_model"] == ["Parent, https://example.org/parent"]
    assert found["recommended_sampling"] == {"general.sampling.temp": pytest.approx(0.7)}


def test_a_split_model_is_one(program: Program, tmp_path: Path) -> None:
    whole = write_llama(tmp_path / "whole.gguf")
    first = write_llama(tmp_path / "parts.gguf", tensors_per_file=8)
    told = [program.call("inspect", str(path), "--json").json for path in (whole, first)]
    assert told[0]["parameters"] == told[1]["parameters"]
    assert len(told[1]["files"]) == 3
    assert "in 3 files" in program.call("inspect", str(first)).text.splitlines()[0]


@pytest.mark.parametrize(
    ("template", "system", "tools", "thinking"),
    [
        (CHAT_TEMPLATE, True, False, False),
        ("{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
         "{% endif %}", False, False, False),
        ("{% if m.role not in ['user', 'system'] %}{{ raise_exception('Only user and system roles "
         "are supported') }}{% endif %}", True, False, False),
        ("{# system tools #}{{ messages[0].content }}", False, False, False),
        ("system and tools in the text only: {{ messages[0].content }}", False, False, False),
        ("{% if tools %}{{ tools | tojson }}{% endif %}{{ 'system' }}", True, True, False),
        ("{% if enable_thinking %}x{% endif %}", False, False, True),
        ("{{ x }}<think>\n", False, False, True),
        ("{{ unclosed 'system'", False, False, False),
    ],
)  # fmt: skip
def test_what_a_chat_template_has_a_place_for(
    template: str, system: bool, tools: bool, thinking: bool
) -> None:
    can = abilities(template)
    assert (can.system, can.tools, can.thinking) == (system, tools, thinking)


# What is no language model


def other_kinds(place: Path) -> dict[str, Path]:
    ones = np.ones((8, 8), np.float32)
    lora: Arrays = {f"blk.0.attn_q.weight.lora_{x}": (ones, None) for x in "ab"}
    vision: Arrays = {
        "v.blk.0.attn_q.weight": (ones, None),
        "v.blk.0.attn_q.bias": (ones[0], None),
        "mm.0.weight": (ones, None),
    }
    embedding: Arrays = {"token_embd.weight": (ones, None)}
    files: dict[str, tuple[str, dict[str, Any], Arrays]] = {
        "a LoRA adapter": ("llama", {"general.type": "adapter", "adapter.lora.alpha": 16.0}, lora),
        "multimodal": ("clip", {"general.type": "mmproj", "clip.projector_type": "mlp"}, vision),
        "left to right": ("bert", {"bert.attention.causal": False}, embedding),
        "vocabulary without": ("llama", {"tokenizer.ggml.model": "gpt2"}, {}),
        "block_count is 0": ("futurenet", {}, {"blk.0.zap.weight": (ones, None)}),
        "an encoder": ("t5encoder", {}, {"enc.blk.0.attn_q.weight": (ones, None)}),
    }
    return {
        what: write_gguf(place / f"{number}.gguf", *file)
        for number, (what, file) in enumerate(files.items())
    }


def test_files_that_generate_refuses_are_shown(program: Program, tmp_path: Path) -> None:
    for what, path in other_kinds(tmp_path).items():
        done = program.call("inspect", str(path))
        assert done.code == 0
        [refusal] = [line for line in done.text.splitlines() if "no text can be" in line]
        assert what in refusal and str(path) not in refusal
        assert "memory" not in done.text
        found = program.call("inspect", str(path), "--json").json
        assert (found["generates"], found["memory"]) == (False, None)
        header = read_header(path)
        assert found["parameters"]["total"] == header.parameters
        assert program.call("inspect", str(path), "--estimate-only").complaint(4)


def test_an_adapter_tells_its_scale_and_an_image_part_its_layers(
    program: Program, tmp_path: Path
) -> None:
    files = other_kinds(tmp_path)
    assert "adapter lora alpha 16" in program.call("inspect", str(files["a LoRA adapter"])).text
    vision = program.call("inspect", str(files["multimodal"])).text
    assert "projector type mlp" in vision
    assert "1 layer of v, 64 weights and 8 biases" in vision


@pytest.mark.parametrize("reference", ["nothing.gguf", "scripted:x.yaml", "", "."])
def test_what_is_no_gguf_file_is_refused(program: Program, reference: str) -> None:
    assert program.call("inspect", reference).complaint(4)


def test_hostile_metadata_is_clean_and_short(program: Program, tmp_path: Path) -> None:
    def array(type: int, *items: bytes) -> bytes:
        return struct.pack("<IQ", type, len(items)) + b"".join(items)

    heads = [struct.pack("<I", number) for number in range(999)]
    entries = [
        ("general.architecture", TEXT, text("llama")),
        ("general.name", TEXT, text(RED * 20_000)),
        ("general.license", TEXT, text(RED * 20_000)),
        ("general.sampling." + RED, TEXT, text(RED * 2000)),
        ("llama.block_count", TEXT, text(RED)),
        ("llama.embedding_length", FLOAT, struct.pack("<f", float("nan"))),
        ("llama.attention.head_count", ARRAY, array(U32, *heads)),
        ("tokenizer.ggml.model", TEXT, text(RED * 2000)),
        ("tokenizer.ggml.pre", TEXT, text(RED * 2000)),
        ("tokenizer.ggml.tokens", ARRAY, array(TEXT, text(RED * 2000), text("b"))),
        ("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 0)),
        ("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 1 << 31)),
        ("tokenizer.chat_template", TEXT, text("{{" * 200_000)),
        *((f"llama.{RED}{number}", U32, struct.pack("<I", number)) for number in range(3000)),
    ]  # fmt: skip
    tensors = [(f"blk.{n}.{RED}{n}.weight", (8,), 0, n * 32) for n in range(2000)]
    path = tmp_path / "hostile.gguf"
    path.write_bytes(encode(entries, tensors, data=bytes(2000 * 32)))
    for view in ([], ["--keys"], ["--tensors"], ["--layers"], ["--json"]):
        done = program.call("inspect", str(path), *view)
        assert done.code == 0
        assert not set("\x1b\u202e\r") & set(done.text)
        if not view:
            assert len(done.text.splitlines()) < 40
            assert max(map(len, done.text.splitlines())) <= 200
    assert len(program.call("inspect", str(path), "--layers").text.splitlines()) < 200
    assert program.call("inspect", str(path), "--weights", "x").complaint(2)
    name = program.call("inspect", str(path), "--metadata", "general.name").text
    assert name.startswith("<1b>[31m<202e>red\n") and "\x1b" not in name


# How long it takes


def test_only_the_header_of_a_huge_file_is_read(program: Program, tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "huge.gguf")
    assert path.stat().st_size > 50e9
    for view in ("--keys", "--tensors"):
        assert program.call("inspect", str(path), view).code == 0
    found = program.call("inspect", str(path), "--json").json
    assert found["parameters"]["bytes"] > 50e9
    assert path.stat().st_blocks * 512 < 1e6


# For scripts


def test_keys_tensors_and_single_values(program: Program, tmp_path: Path) -> None:
    path = str(write_llama(tmp_path / "m.gguf", vocabulary=2000))
    keys = program.call("inspect", path, "--keys").text.splitlines()
    assert "llama.block_count = 2" in keys
    assert "tokenizer.ggml.add_bos_token = false" in keys
    assert "tokenizer.ggml.tokens = 2,000 items" in keys
    tensors = program.call("inspect", path, "--tensors").text.splitlines()
    [line] = [line for line in tensors if line.startswith("blk.1.attn_k.weight ")]
    assert line.split() == ["blk.1.attn_k.weight", "F32", "32", "×", "64", "2,048", "8.2", "kB"]
    template = program.call("inspect", path, "--metadata", "tokenizer.chat_template").text
    assert template == CHAT_TEMPLATE + "\n"
    tokens = program.call("inspect", path, "--metadata", "tokenizer.ggml.tokens").text.splitlines()
    assert (len(tokens), tokens[1]) == (2000, "<|system|>")
    as_json = program.call("inspect", path, "--metadata", "tokenizer.ggml.tokens", "--json").json
    assert as_json == tokens
    listed = program.call("inspect", path, "--tensors", "--json").json
    assert listed[0] | {"bytes": 512_000} == listed[0]
    assert program.call("inspect", path, "--keys", "--json").json["tokenizer.ggml.tokens"] == {
        "items": 2000
    }
    wrong = program.call("inspect", path, "--metadata", "llama.blok_count").complaint(2)
    assert "did you mean llama.block_count?" in wrong


def test_one_view_at_a_time(program: Program) -> None:
    wrong = program.call("inspect", "--layers", "--weights", "x").complaint(2)
    assert "--weights and --layers are two views" in wrong
    assert "--html is for" in program.call("inspect", "--html", "x.html").complaint(2)
    assert "--png is for" in program.call("inspect", "--keys", "--png", "x.png").complaint(2)


def test_only_what_shapes_the_memory_is_an_option(program: Program) -> None:
    assert "--temperature" in program.call("inspect", "--temperature", "1").complaint(2)
    assert "--temperature" not in program.call("inspect", "--help").text


def test_the_default_model_is_the_configured_one(program: Program, tmp_path: Path) -> None:
    path = write_llama(tmp_path / "mine.gguf", metadata={"general.name": "mine"})
    done = program.call("inspect", LLMPARAMS_MODEL=str(path), LLMPARAMS_CONTXT="9")
    assert done.text.startswith("mine  llama")
    assert "LLMPARAMS_CONTXT has no effect" in done.stderr


# Memory


@pytest.mark.parametrize(
    ("on", "held", "fits", "runs"),
    [(100, 90, True, True), (101, 100, False, True), (150, 101, False, False)],
)
def test_what_fits_and_what_runs(on: int, held: int, fits: bool, runs: bool) -> None:
    need = Need(
        context=1, cache_type="f16", weights=on, cache=0, compute=0, on={"CPU": on, "GPU": 5},
        held={"CPU": held, "GPU": 5}, free={"CPU": 100}, gpu_layers=0,
    )  # fmt: skip
    assert (need.fits, need.runs) == (fits, runs)
    assert need.lacking == ([] if fits else ["CPU"])


def test_will_it_fit(program: Program, tmp_path: Path) -> None:
    path = str(write_llama(tmp_path / "m.gguf", width=256, heads=4, context=2048))
    done = program.call("inspect", path, "--json")
    own = done.json["memory"]["own"]
    assert own["total"] == own["weights"] + own["cache"] + own["compute"]
    assert own["cache"] == 2 * 2 * 2 * 64 * 2 * 2048
    assert (own["context"], own["fits"]) == (2048, True)
    usual = done.json["memory"]["usual"]
    assert {each["cache_type"] for each in usual} == {"f16", "q8_0", "q4_0"}
    caches = {each["cache_type"]: each["cache"] for each in usual}
    assert caches["f16"] > caches["q8_0"] > caches["q4_0"]
    text = program.call("inspect", path).text
    assert "context 2,048, cache in f16: " in text
    assert text.rstrip().endswith("fits")


def test_layers_that_fit_leave_room_for_computing() -> None:
    free = {"CPU": 10_000, "GPU0": 460, "GPU1": 90}
    need = Need(1, "f16", 800, 200, 100, {}, {}, free, 0)
    assert _fitting(need, 10) == {"CPU": 10, "GPU0": 3, "GPU1": 0}


def test_the_contexts_are_few_and_reach_the_longest(program: Program, tmp_path: Path) -> None:
    path = str(write_llama(tmp_path / "m.gguf", width=256, context=1 << 20))
    usual = program.call("inspect", path, "--json").json["memory"]["usual"]
    contexts = dict.fromkeys(each["context"] for each in usual)
    assert list(contexts) == [8192, 65536, 262144, 1048576]
    usual = program.call("inspect", path, "-c", "1000", "--json").json["memory"]["usual"]
    assert usual[0]["context"] >= 1000


def test_a_type_of_cache_that_does_not_go_is_named(program: Program, tmp_path: Path) -> None:
    path = str(write_llama(tmp_path / "m.gguf"))  # 16 elements in a head; q8_0 has blocks of 32
    text = program.call("inspect", path).text
    assert "a cache in q8_0 or q4_0 does not go with this model" in text


def test_estimate_only_follows_the_settings(program: Program, tmp_path: Path) -> None:
    path = str(write_llama(tmp_path / "m.gguf", width=256, heads=4, context=8192))
    small = program.call("inspect", path, "--estimate-only", "--context", "1024", "--json")
    large = program.call("inspect", path, "--estimate-only", "-c", "4096", "-ctk", "q8_0", "--json")
    assert (small.code, large.code) == (0, 0)
    assert large.json["own"]["context"] == 4096
    assert large.json["own"]["cache_type"] == "q8_0/f16"
    assert small.json["own"]["cache"] * 3 < large.json["own"]["cache"]
    assert small.json["usual"] == []
    text = program.call("inspect", path, "--estimate-only", "--context", "1024").text
    assert text.splitlines()[-1].endswith("fits")


def test_what_does_not_fit_has_its_exit_code(program: Program, tmp_path: Path) -> None:
    path = str(write_sparse(tmp_path / "huge.gguf", 4 << 40))
    done = program.call("inspect", path, "--estimate-only", "--no-mmap")
    assert done.code == 10
    assert done.text.splitlines()[-2].endswith("does not fit into RAM")
    assert done.text.splitlines()[-1].startswith("of 17 layers (with the output) fit: RAM ")
    table = program.call("inspect", path, "--no-mmap", "--color", "never").text
    assert "TB!" in table
    assert "! does not fit into memory" in table
    mapped = program.call("inspect", path, "--estimate-only", "-ub", "8", "--json")
    assert mapped.code == 10
    assert (mapped.json["own"]["fits"], mapped.json["own"]["runs"]) == (False, True)


def test_without_a_library_the_rest_is_shown(program: Program, tmp_path: Path) -> None:
    done = program.pipe("inspect", LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert done.code == 0
    assert "weights  5,639,424" in done.text
    assert "memory  unknown" in done.text
    assert "does not load" in done.text
    assert program.pipe("inspect", "--estimate-only", LLAMA_CPP_LIB_PATH=str(tmp_path)).code == 6


def test_a_recurrent_model_too(program: Program, tmp_path: Path) -> None:
    done = program.call("inspect", str(write_mamba(tmp_path / "mamba.gguf")))
    assert done.code == 0
    assert "state size 16" in done.text
    assert "fits" in done.text


# How texts are split


@pytest.mark.parametrize("id", [-1, 2])
def test_a_special_token_that_is_not_in_the_vocabulary_has_no_text(tmp_path: Path, id: int) -> None:
    metadata = [
        ("general.architecture", 8, text("llama")),
        ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")),
        ("tokenizer.ggml.bos_token_id", 5, struct.pack("<i", id)),
    ]
    path = tmp_path / "m.gguf"
    path.write_bytes(encode(metadata, [("a", [1], 0, 0)], data=bytes(4)))
    assert [(each.id, each.text) for each in tokenizer(read_header(path)).special] == [(id, None)]


def test_a_text_in_tokens(program: Program) -> None:
    done = program.call("inspect", "--tokens", "<|im_start|>user\nHi 日", "--json")
    found = done.json
    assert (found["bytes"], found["added"]) == (23, 0)
    pieces = found["pieces"]
    assert found["tokens"] == len(pieces)
    assert b"".join(bytes.fromhex(piece["bytes"]) for piece in pieces) == (
        "<|im_start|>user\nHi 日".encode()
    )
    assert [piece["text"] for piece in pieces if piece["special"]] == ["<|im_start|>"]
    assert [piece["text"] for piece in pieces[-3:]] == ["<e6>", "<97>", "<a5>"]
    lines = program.call("inspect", "--tokens", "Once upon", "--color", "never").text.splitlines()
    assert lines[0].startswith("2 tokens for 9 bytes, 4.50 bytes each")
    assert lines[2] == "Once│ upon"
    assert lines[-1].split() == [
        "2",
        *lines[-1].split()[1:2],
        "20",
        "75",
        "70",
        "6f",
        "6e",
        '"',
        'upon"',
    ]


def test_tokens_from_stdin_and_what_the_model_adds(program: Program, tmp_path: Path) -> None:
    extra = {"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.add_bos_token": True}
    path = str(write_llama(tmp_path / "m.gguf", metadata=extra))
    done = program.call("inspect", path, "--tokens", "-", "--json", stdin="the é".encode())
    assert done.json["added"] == 1
    assert done.json["pieces"][0]["text"] == "<|system|>"
    assert done.json["bytes"] == 6
    wrong = program.call("inspect", path, "--tokens", "-", stdin=b"\xff").complaint(2)
    assert "standard input is not UTF-8" in wrong


def test_what_stands_before_a_text_and_after_it_is_told_apart(
    program: Program, tmp_path: Path
) -> None:
    extra = {
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": True,
    }
    path = str(write_llama(tmp_path / "m.gguf", metadata=extra))
    for words, added in (("the and", [0, 3]), ("", [0, 1])):
        pieces = program.call("inspect", path, "--tokens", words, "--json").json["pieces"]
        assert [place for place, piece in enumerate(pieces) if piece["added"]] == added
    del extra["tokenizer.ggml.add_eos_token"]
    path = str(write_llama(tmp_path / "m.gguf", metadata=extra))
    pieces = program.call("inspect", path, "--tokens", "the and", "--json").json["pieces"]
    assert [piece["added"] for piece in pieces] == [True, False, False]


def test_no_text_no_tokens(program: Program) -> None:
    assert program.call("inspect", "--tokens", "").text == "0 tokens for 0 bytes\n"


def test_without_a_tokenizer_no_text_is_split(program: Program, tmp_path: Path) -> None:
    path = other_kinds(tmp_path)["a LoRA adapter"]
    assert "has no tokenizer" in program.call("inspect", str(path), "--tokens", "x").complaint(4)


def test_a_vocabulary_alone_splits_texts(program: Program, tmp_path: Path) -> None:
    whole = write_llama(tmp_path / "m.gguf")
    fields = gguf.GGUFReader(whole).fields
    metadata = {
        key: field.contents() for key, field in fields.items() if key.startswith(("llama", "token"))
    }
    path = write_gguf(tmp_path / "vocabulary.gguf", "llama", metadata, {})
    complaint = program.call("inspect", str(path), "--layers").complaint(ExitCode.MODEL)
    assert "vocabulary.gguf has no weights" in complaint
    done = program.call("inspect", str(path), "--tokens", "the and", "--json")
    assert [piece["text"] for piece in done.json["pieces"]] == ["the", " and"]
