"""`quantize`: sizes foreseen and real, what is refused, and files that appear whole or not."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from models import write_llama
from program import COMMAND, Program, wait_until

from llmparams_cli.analysis.divergence import Beside, Compared, Fork, TextDivergence
from llmparams_cli.analysis.ladder import Rung, beaten, best
from llmparams_cli.backends.llama.weights import Recipe, planned, quantise
from llmparams_cli.errors import ExitCode, ModelError
from llmparams_cli.files import appearing, remove_left
from llmparams_cli.jobs.evaluation.beside import fork
from llmparams_cli.jobs.quantization import making
from llmparams_cli.models import builtin
from llmparams_cli.models.ggml_types import MADE, SHORT
from llmparams_cli.models.gguf import read_header
from llmparams_cli.models.importance import read_importance
from llmparams_cli.models.quantized import foreseen
from llmparams_cli.protocol import Token
from llmparams_cli.text.units import bytes_of


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows are whole blocks of every type."""
    path = tmp_path_factory.mktemp("source") / "model.gguf"
    return write_llama(path, width=256, feed_forward=256, type="F16")


@pytest.fixture(scope="module")
def matrix(source: Path) -> Path:
    """An importance matrix for it, in the older format."""
    entries = b""
    names = [tensor for tensor in read_header(source).tensors if len(tensor.shape) > 1]
    random = np.random.default_rng(1)
    for tensor in names:
        name, length = tensor.name.encode(), tensor.shape[0]
        values = random.uniform(0.5, 2, length).astype("<f4")
        entries += struct.pack(f"<i{len(name)}s2i", len(name), name, 2, length) + values.tobytes()
    path = source.with_name("matrix.dat")
    path.write_bytes(struct.pack("<i", len(names)) + entries + struct.pack("<2i", 2, 0))
    return path


def test_every_type_can_be_planned(source, matrix, program: Program) -> None:
    """And has a size that grows with its bits."""
    flags = ("--imatrix", str(matrix), "--dry-run", "--json", "--type")
    found = {
        type: program.call("quantize", str(source), "out.gguf", *flags, type).json["result"]
        for type in MADE
    }
    assert {type: result["type"] for type, result in found.items()} == {t: t for t in MADE}
    order = ("IQ1_S", "IQ2_XXS", "IQ2_M", "Q3_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
    sizes = [found[type]["size"] for type in order]
    assert sizes == sorted(sizes) and len({*sizes}) == len(sizes)


# The others take seconds each.
@pytest.mark.parametrize("type", ["F32", "BF16", "Q4_K_M", "Q2_K", "TQ2_0", "IQ4_NL", "IQ2_XXS"])
def test_a_type_has_the_size_that_was_foreseen(type, source, matrix, program: Program) -> None:
    flags = ("--type", type.lower(), "--imatrix", str(matrix), "--json")
    told = program.call("quantize", str(source), "out.gguf", *flags, "--dry-run")
    assert told.code == 0, told.stderr
    assert not (program.place / "out.gguf").exists()
    done = program.call("quantize", str(source), "out.gguf", *flags)
    assert done.code == 0, done.stderr
    foreseen, made = told.json["result"], done.json["result"]
    assert foreseen.pop("tensors") == made.pop("tensors")
    assert foreseen == made
    assert made["type"] == type
    assert made["size"] == (program.place / "out.gguf").stat().st_size
    assert (told.json["dry_run"], done.json["dry_run"]) == (True, False)
    assert [*program.place.glob(".out*")] == []


@pytest.mark.parametrize("length", range(1, 33, 3))
@pytest.mark.parametrize("version", [None, 2])
def test_the_size_is_right_to_the_byte_whatever_the_header(length, version, tmp_path) -> None:
    """The keys that llama.cpp adds, and the padding that they move."""
    metadata = {"general.name": "x" * length, "general.quantization_version": version}
    path = write_llama(tmp_path / "model.gguf", layers=1, metadata=metadata)
    recipe = Recipe("Q8_0", 1)
    header = read_header(path)
    expected = foreseen(header, path, "Q8_0", planned(header, recipe).types)
    quantise(path, tmp_path / "out.gguf", recipe)
    assert expected.size == (tmp_path / "out.gguf").stat().st_size
    assert expected.data_offset == read_header(tmp_path / "out.gguf").data_offset


def test_another_alignment_than_the_usual_does_no_harm(program: Program) -> None:
    """llama.cpp would copy the number, and write with its own."""
    metadata = {"general.alignment": 64}
    path = write_llama(program.place / "odd.gguf", vocabulary=301, metadata=metadata)
    flags = ("quantize", str(path), "out.gguf", "--type", "Q8_0", "--json")
    told, done = program.call(*flags, "--dry-run"), program.call(*flags)
    assert done.code == 0, done.stderr
    assert told.json["result"] == done.json["result"]
    assert read_header(program.place / "out.gguf").alignment == 32
    assert program.call("generate", "x", "-m", "out.gguf", "-n", "1").code == 0


@pytest.mark.parametrize(
    ("base", "other", "expected"),
    [
        ("abc", "abc", None),
        ("abc", "abd", Fork(2, "c", "d")),
        ("ab", "abc", Fork(2, "", "c")),
        ("abc", "x", Fork(0, "a", "x")),
    ],
)
def test_answers_part_at_the_first_other_token(base, other, expected) -> None:
    tokens = [tuple(Token(ord(char), char) for char in text) for text in (base, other)]
    assert fork(*tokens) == expected


def test_short_names_are_those_of_llama_quantize() -> None:
    assert {short: making.file_type(short.lower()) for short in SHORT} == {
        "Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M",
    }  # fmt: skip


def test_the_result_is_a_model_and_its_numbers_are_shown(source, program: Program) -> None:
    done = program.call("quantize", "builtin", "small.gguf", "--type", "Q4_K_M")
    assert done.code == 0, done.stderr
    words = [line.split() for line in done.text.splitlines()]
    assert words[1][-4:] == ["F16", "11.3", "MB", "16.01"]
    assert words[2] == ["small.gguf", "Q4_K_M", "3.5", "MB", "4.90"]
    assert "31% of the size; tensors: Q4_K (38), Q6_K (5), F32 (13)" in done.text
    written = program.call("generate", "Once", "-m", "small.gguf", "--max-tokens", "3")
    assert written.code == 0 and written.text.strip()
    assert os.stat(program.place / "small.gguf").st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_rows_that_fit_no_blocks_are_told(program: Program) -> None:
    path = write_llama(program.place / "narrow.gguf", type="F16")
    done = program.call("quantize", str(path), "out.gguf", "--type", "Q4_K_S", "--json")
    assert "blk.0.attn_q.weight" in done.json["unfit"]
    assert set(done.json["result"]["tensors"]) == {"Q5_0", "Q5_1", "Q8_0", "F32"}
    shown = program.call("quantize", str(path), "out.gguf", "--type", "Q4_K_S", "--dry-run")
    assert f"{len(done.json['unfit'])} tensors have rows" in shown.text


def types(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.type.name for tensor in read_header(path).tensors}


def test_kept_tensors_have_the_types_that_were_asked_for(source, program: Program) -> None:
    keep = ("--keep", "output,attn_v=q8_0", "--keep", "blk.1.ffn_*=BF16")
    done = program.call("quantize", str(source), "out.gguf", "--type", "Q4_K_S", *keep)
    assert done.code == 0, done.stderr
    found = types(program.place / "out.gguf")
    assert found["output.weight"] == "F16"
    assert found["blk.0.attn_output.weight"] == "Q4_K"  # whose name ends like the other's
    assert {found[f"blk.{layer}.attn_v.weight"] for layer in range(2)} == {"Q8_0"}
    assert {found[f"blk.1.ffn_{each}.weight"] for each in ("up", "down", "gate")} == {"BF16"}
    assert found["blk.1.ffn_norm.weight"] == "F32"


def test_where_one_matrix_is_both_output_means_it(program: Program) -> None:
    flags = ("--type", "Q4_0", "--keep", "output", "--json", "--dry-run")
    done = program.call("quantize", "builtin", "out.gguf", *flags)
    assert done.json["result"]["tensors"]["F16"]["count"] == 1


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--type", "Q4_K_L"), ExitCode.USAGE, "--type Q4_K_L: there is no such type; did you"),
        (("--type", "NVFP4"), ExitCode.USAGE, "--type NVFP4: there is no such type"),
        (("--type", "Q4_0", "--keep", "atn_v"), ExitCode.USAGE, "did you mean attn_v?"),
        (("--type", "Q4_0", "--keep", "attn_norm"), ExitCode.USAGE, "no such matrix"),
        (("--type", "Q4_0", "--keep", "attn_v=Q8_K"), ExitCode.USAGE, "there is no such type"),
        (("--type", "Q4_0", "--keep", ","), ExitCode.USAGE, "no name"),
        (("--type", "F16", "--keep", "output"), ExitCode.USAGE, "--keep has no effect"),
        (("--type", "IQ2_XS"), ExitCode.USAGE, "needs an importance matrix"),
        (("--type", "Q4_0", "--imatrix", "none"), ExitCode.MODEL, "none cannot be read: No such"),
    ],
)
def test_what_cannot_be_made_is_told_before_anything_is(
    flags, code, words, source, program: Program
) -> None:
    done = program.call("quantize", str(source), "out.gguf", *flags)
    assert words in done.complaint(code)
    assert [*program.place.iterdir()] == []


def test_a_tensor_that_the_type_does_not_fit_is_not_kept_silently(program: Program) -> None:
    path = write_llama(program.place / "narrow.gguf", type="F16")
    flags = ("--type", "Q4_0", "--keep", "attn_v=Q6_K")
    done = program.call("quantize", str(path), "out.gguf", *flags)
    assert "llama.cpp makes blk.0.attn_v.weight Q8_0 instead" in done.complaint(ExitCode.USAGE)


def test_no_file_is_replaced_unasked(source, program: Program) -> None:
    out, flags = program.place / "out.gguf", ("--type", "Q8_0")
    out.write_text("mine")
    done = program.call("quantize", str(source), "out.gguf", *flags)
    assert "out.gguf exists (--force replaces it)" in done.complaint(ExitCode.USAGE)
    assert out.read_text() == "mine"
    assert program.call("quantize", str(source), "out.gguf", *flags, "--force").code == 0
    assert read_header(out).quantization == "Q8_0"


def test_a_model_is_not_replaced_by_itself(source, program: Program) -> None:
    os.link(source, program.place / "link.gguf")
    for name in (str(source), "link.gguf"):
        done = program.call("quantize", str(source), name, "--type", "Q8_0", "--force")
        assert "is the model itself" in done.complaint(ExitCode.USAGE)
    assert read_header(source).quantization == "F16"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no/out.gguf", "no such folder"),
        ("-", "cannot go into a pipe"),
        ("x" * 250, "name too long"),
        (".", "is a directory"),
        ("/dev/null", "no regular file"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(name, words, source, program: Program) -> None:
    done = program.call("quantize", str(source), name, "--type", "Q8_0", "--force")
    assert words in done.complaint(ExitCode.USAGE)


def test_what_is_quantised_is_quantised_again_only_on_demand(program: Program) -> None:
    path = write_llama(program.place / "small.gguf", type="Q8_0")
    done = program.call("quantize", str(path), "out.gguf", "--type", "Q4_0")
    complaint = done.complaint(ExitCode.USAGE)
    assert "quantised already (Q8_0): a second time adds new errors" in complaint
    assert "--requantize" in complaint
    done = program.call("quantize", str(path), "out.gguf", "--type", "Q4_0", "--requantize")
    assert done.code == 0 and "a second time adds new errors" in done.stderr


def test_a_split_model_and_a_script_have_no_single_file(program: Program) -> None:
    path = write_llama(program.place / "part", tensors_per_file=9, type="F16")
    done = program.call("quantize", str(path), "out.gguf", "--type", "Q4_0")
    assert "of a model (llama-gguf-split --merge" in done.complaint(ExitCode.MODEL)
    (program.place / "s.yaml").write_text("answers: [{text: x}]\n")
    done = program.call("quantize", "scripted:s.yaml", "out.gguf", "--type", "Q4_0")
    assert "no weights in it" in done.complaint(ExitCode.MODEL)


def test_a_disk_without_room_is_told_before(source, program: Program, monkeypatch) -> None:
    monkeypatch.setattr(making, "free_space", lambda folder: making.SPARE)
    done = program.call("quantize", str(source), "out.gguf", "--type", "Q8_0")
    assert "are needed, and 10.0 MB are free (make room there" in done.complaint(ExitCode.OUTPUT)
    assert [*program.place.iterdir()] == []


def test_a_disk_that_becomes_full_leaves_nothing(source, program: Program) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*COMMAND, "quantize", str(source), "out.gguf", "--type", "Q8_0"],
        capture_output=True,
        text=True,
        env=program.variables,
        cwd=program.place,
        preexec_fn=limited,
    )
    assert done.returncode == ExitCode.OUTPUT
    assert "the disk is full, or its limit is reached" in done.stderr
    assert [*program.place.glob("*.gguf"), *program.place.glob(".*")] == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes a while."""
    path = tmp_path_factory.mktemp("large") / "model.gguf"
    return write_llama(path, width=1024, feed_forward=4096, type="F16")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_broken_off_leaves_nothing(number, large, program: Program) -> None:
    process = program.start("quantize", str(large), "out.gguf", "--type", "Q3_K_L")
    wait_until(lambda: [each for each in program.place.glob(".out*") if each.stat().st_size])
    process.send_signal(number)
    done = program.end(process)
    assert done.code == (ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    wait_until(lambda: not [*program.place.glob(".out*")])
    assert not (program.place / "out.gguf").exists()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path) -> None:
    left, other = tmp_path / ".out.gguf.abcdefgh", tmp_path / ".out.gguf.old"
    for path in (left, other):
        path.write_text("half")
        os.utime(path, (0, 0))
    with appearing(tmp_path / "out.gguf") as busy:
        os.utime(busy, (0, 0))
        remove_left(tmp_path / "out.gguf")
        assert busy.exists()  # somebody writes to it
    assert not left.exists()
    assert other.exists()


def test_progress_is_shown_on_a_terminal(program: Program, large: Path) -> None:
    session = program.terminal("quantize", str(large), "out.gguf", "--type", "Q3_K_L")
    shown = session.end()
    assert shown.code == 0
    assert b"quantising" in shown.received


def test_the_log_is_shown_when_verbose(source, program: Program) -> None:
    done = program.call("quantize", str(source), "out.gguf", "--type", "Q8_0", "--verbose")
    assert "blk.1.ffn_up.weight" in done.stderr


STORY = "The fox saw a bear. The bear saw the fox. They went home together. " * 12
READ = ("--text", "-", "--chunk", "64", "--chunks", "3")


@pytest.mark.real_model
@pytest.mark.parametrize(("words", "cure"), [(12, "give a longer text"), (90, "--chunk ")])
def test_a_text_that_fills_no_chunk_has_a_cure_that_works(
    program: Program, words: int, cure: str
) -> None:
    flags = ("quantize", "builtin", "out.gguf", "--type", "Q8_0", "--text", "-")
    done = program.call(*flags, stdin=" ".join(STORY.split()[:words]).encode())
    assert done.code == ExitCode.USAGE and f"and a chunk 512 ({cure}" in done.stderr


@pytest.mark.real_model
def test_the_cost_is_measured_on_a_text(program: Program) -> None:
    flags = ("quantize", "builtin", "out.gguf", "--type", "Q2_K", *READ)
    shown = program.call(*flags, stdin=STORY.encode())
    assert shown.code == 0, shown.stderr
    lines = shown.text.splitlines()
    assert [line.split()[0] for line in lines[4:7]] == ["perplexity", "F16", "Q2_K"]
    assert max(map(len, lines[3:])) <= 80  # but for the paths
    labels = ("perplexity", "KL divergence", "Δp", "same top token", "greedy text")
    assert all(any(line.startswith(label) for line in lines[8:]) for label in labels)
    done = program.call(*flags, "--force", "--json", stdin=STORY.encode())
    source, result, found = (done.json[each] for each in ("source", "result", "divergence"))
    ratio = found["perplexity_ratio"]["mean"]
    assert ratio == pytest.approx(result["perplexity"] / source["perplexity"], rel=1e-4)
    assert ratio != 1 and found["kl_divergence"]["mean"] > 0
    assert found["tokens"] == 3 * (64 - 33)
    assert found["same_top"]["mean"] == pytest.approx(1 - found["flips"] / found["tokens"], 1e-4)
    assert min(source["read_per_second"], result["written_per_second"]) > 0


@pytest.mark.real_model
def test_a_copy_is_no_different(program: Program) -> None:
    flags = ("--type", "F16", *READ, "--json")
    done = program.call("quantize", "builtin", "out.gguf", *flags, stdin=STORY.encode())
    found = done.json["divergence"]
    assert found["kl_divergence"]["max"] == found["probability_change"]["max"] == 0
    assert found["flips"] == 0 and found["greedy"] == {"same": 32, "differs": None}


@pytest.mark.real_model
def test_any_two_models_are_compared_by_evaluate(program: Program) -> None:
    """The other way round the ratio is the inverse."""
    program.call("quantize", "builtin", "out.gguf", "--type", "Q2_K")
    base = ("evaluate", "builtin", "--against", "out.gguf", *READ, "--json")
    other = ("evaluate", "out.gguf", "--against", "builtin", *READ, "--json")
    first, second = (program.call(*each, stdin=STORY.encode()).json for each in (base, other))
    (there,), (back,) = first["against"], second["against"]
    assert there["base"].endswith("out.gguf") and back["base"].endswith("model.gguf")
    ratios = [each["perplexity_ratio"]["mean"] for each in (there, back)]
    assert ratios[0] * ratios[1] == pytest.approx(1, rel=1e-4)
    assert there["kl_divergence"]["mean"] != back["kl_divergence"]["mean"]
    alone = program.call("evaluate", "builtin", *READ, "--json", stdin=STORY.encode()).json
    assert first["models"][1]["perplexity"] == alone["models"][0]["perplexity"]
    shown = program.call(*other[:-1], stdin=STORY.encode()).text
    assert "out.gguf beside builtin" in shown  # both have the same name inside


@pytest.mark.real_model
def test_models_with_other_tokenizers_are_not_compared(source, program: Program) -> None:
    flags = ("evaluate", "builtin", "--against", str(source), *READ)
    done = program.call(*flags, stdin=STORY.encode())
    assert "have different tokenizers" in done.complaint(ExitCode.USAGE)


LADDER = ("quantize", "builtin", "--ladder", "--type", "Q8_0,Q2_K,q4_k_m", *READ)


@pytest.mark.real_model
def test_a_ladder_has_a_rung_for_each_type_and_makes_the_best_that_fits(program: Program) -> None:
    flags = ("--size", "4M", "--json")
    done = program.call(*LADDER[:2], "best.gguf", *LADDER[2:], *flags, stdin=STORY.encode())
    assert done.code == 0, done.stderr
    found = {rung["type"]: rung for rung in done.json["ladder"]}
    assert [*found] == ["Q8_0", "Q2_K", "Q4_K_M"]
    distances = [found[type]["divergence"]["kl_divergence"]["mean"] for type in found]
    assert distances[0] < distances[2] < distances[1]
    assert done.json["chosen"] == "Q4_K_M"  # 3.5 MB, where Q8_0 has 6.1
    assert read_header(program.place / "best.gguf").quantization == "Q4_K_M"
    assert [path.name for path in program.place.iterdir() if path.is_file()] == ["best.gguf"]


@pytest.mark.real_model
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_ladder_that_is_broken_off_leaves_nothing(number, large, program: Program) -> None:
    (program.place / "tmp").mkdir()
    (program.place / "story.txt").write_text(STORY)
    process = program.start(
        *("quantize", str(large), "--ladder", "--type", "Q3_K_L,Q2_K", "--text", "story.txt"),
        *("--chunk", "64"),
        TMPDIR=str(program.place / "tmp"),
    )
    wait_until(lambda: [*program.place.glob("tmp/*/.Q3_K_L.gguf.*")])
    process.send_signal(number)
    assert program.end(process).code in (ExitCode.INTERRUPTED, -number)
    wait_until(lambda: not [*program.place.glob("tmp/*")])


@pytest.mark.real_model
def test_a_ladder_is_a_table_with_bars(program: Program) -> None:
    done = program.call(*LADDER, stdin=STORY.encode())
    assert done.code == 0, done.stderr
    head, *lines = done.text.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["F16", "Q8_0", "Q4_K_M", "Q2_K"]
    bars = [line.count("█") for line in lines[:4]]
    assert bars[0] == 0 and bars[1] < bars[2] < bars[3] == 12
    assert max(map(len, [head, *lines])) <= 80


@pytest.mark.real_model
def test_a_ladder_is_drawn(program: Program) -> None:
    pytest.importorskip("matplotlib")
    done = program.call(*LADDER, "--svg", "ladder.svg", "--size", "3M", stdin=STORY.encode())
    assert done.code == 0, done.stderr
    drawn = (program.place / "ladder.svg").read_text()
    assert all(f">{text}<" in drawn for text in ("Q8_0", "Q2_K", "Q4_K_M", "size in MB"))
    assert "mathdefault" not in drawn


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("out.gguf",), "--type is missing"),
        (("--type", "Q4_0"), "OUT is missing"),
        (("out.gguf", "--type", "Q4_0", "--size", "1M"), "--size has no effect without --ladder"),
        (("out.gguf", "--type", "Q4_0,Q8_0"), "no such type"),
        (("--ladder",), "--ladder measures on a text"),
        (("--ladder", *READ, "--type", "Q4"), "--type Q4: there is no such type"),
        (("--ladder", *READ, "out.gguf"), "OUT without --size has no effect with --ladder"),
        (("--ladder", *READ, "--dry-run"), "--dry-run has no effect with --ladder"),
        (("--ladder", *READ, "--size", "big"), "--size big: no size"),
        (("--ladder", *READ, "--size", "1M", "--type", "Q2_K,Q8_0"), "the smallest, Q2_K, has 2.4"),
        (("--ladder", *READ, "--type", "Q8_0,IQ2_XS"), "needs an importance matrix"),
    ],
)
def test_what_does_not_go_together_is_told(flags, words, program: Program) -> None:
    done = program.call("quantize", "builtin", *flags, stdin=STORY.encode())
    assert words in done.complaint(ExitCode.USAGE)


def beside(distance: float, speed: float) -> Any:
    """No more than a rung looks at."""
    of = np.array([distance, distance])
    divergence = TextDivergence(Compared(of, of, of, of))
    return Beside(None, None, divergence, None, 0, (0.0, speed))  # type: ignore[arg-type]


def test_a_type_is_beaten_by_what_is_better_in_everything() -> None:
    rungs = [
        Rung("small", 10, 2.0, beside(0.5, 100)),
        Rung("large", 20, 4.0, beside(0.1, 100)),
        Rung("worse", 20, 4.0, beside(0.2, 99)),  # no faster than large
        Rung("fast", 20, 4.0, beside(0.2, 150)),
        Rung("noisy", 21, 4.0, beside(0.3, 160)),  # the speed of fast, but for noise
        Rung("huge", 30, 8.0, beside(0.01, 10)),
    ]
    assert beaten(rungs) == {"worse": "large", "noisy": "fast"}
    assert [getattr(best(rungs, size), "type", None) for size in (5, 10, 25, 99)] == [
        None, "small", "large", "huge",
    ]  # fmt: skip


def test_a_type_is_not_beaten_by_chance() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.2])
    rungs = []
    for name, distances in {"a": values, "b": values[::-1] + 0.01, "c": values + 0.01}.items():
        divergence = TextDivergence(Compared(values, values, distances, values))
        found = Beside(None, None, divergence, None, 0, (0.0, 1.0))  # type: ignore[arg-type]
        rungs.append(Rung(name, 10, 2.0, found))
    assert beaten(rungs) == {"c": "a"}  # at every token; b is no worse than it might be


@pytest.mark.parametrize(
    ("text", "count"),
    [("100M", 10**8), ("1.5 GB", 15 * 10**8), ("2KiB", 2048), ("7", 7), ("1t", 10**12)],
)
def test_sizes_are_read_as_people_write_them(text, count) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "M", "1.2.3", "-5M", "5X", "nan", "1e5"])
def test_what_is_no_size_is_refused(text) -> None:
    with pytest.raises(ValueError):
        bytes_of(text)


def test_a_text_that_cannot_be_read_is_told_before_anything_is_made(
    source, program: Program
) -> None:
    for flags, words in {
        ("--text", "none.txt"): "--text none.txt: No such file",
        ("--text", "-", "--dry-run"): "--text has no effect with --dry-run",
    }.items():
        done = program.call("quantize", str(source), "out.gguf", "--type", "Q8_0", *flags)
        assert words in done.complaint(ExitCode.USAGE)
    assert [*program.place.iterdir()] == []


def write_matrix(path: Path, name: str, sums: np.ndarray, counts: list[float]) -> Path:
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.add_type("imatrix")
    writer.add_tensor(f"{name}.in_sum2", sums)
    writer.add_tensor(f"{name}.counts", np.array(counts, np.float32).reshape(-1, 1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_sums_of_an_importance_matrix_become_means(tmp_path) -> None:
    """Three experts, of which the text asked for two."""
    sums = np.array([[2, 4], [0, 0], [9, 3]], np.float32)
    path = write_matrix(tmp_path / "m.gguf", "blk.0.ffn_up_exps.weight", sums, [2, 0, 3])
    (name,), (means,) = zip(*read_importance(path).items(), strict=True)
    assert name == "blk.0.ffn_up_exps.weight"
    assert means.tolist() == [1, 2, 1, 1, 3, 1]


def test_the_older_format_has_means_times_calls(tmp_path) -> None:
    entry = struct.pack("<i1s2i2f", 1, b"a", 4, 2, 2.0, 8.0)
    path = tmp_path / "m.dat"
    path.write_bytes(struct.pack("<i", 1) + entry)
    assert read_importance(path)["a"].tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, this is a text",
        struct.pack("<i", 1),
        struct.pack("<i1s2i", 1, b"a", 1, 5),
        struct.pack("<ii1s2i2f", 1, 1, b"a", 1, -2, 0, 0),
        struct.pack("<ii1s2i1f", 1, 1, b"a", 1, 1, float("nan")),
        struct.pack("<ii1s2i1f", 1, -1, b"a", 1, 1, 1.0),
        struct.pack("<i", -1),
    ],
)
def test_a_file_that_is_no_importance_matrix_is_refused(data, tmp_path) -> None:
    path = tmp_path / "m.dat"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="no importance matrix"):
        read_importance(path)


def test_a_matrix_of_another_kind_or_model_is_refused(source, tmp_path, program: Program) -> None:
    with pytest.raises(ModelError, match="another kind of GGUF file"):
        read_importance(builtin.PATH)
    ones = np.ones((1, 3), np.float32)
    path = write_matrix(tmp_path / "m.gguf", "other.weight", ones, [1])
    flags = ("--type", "IQ2_XS", "--imatrix", str(path))
    done = program.call("quantize", str(source), "out.gguf", *flags)
    assert "was made for another model" in done.complaint(ExitCode.MODEL)
    path = write_matrix(tmp_path / "n.gguf", "blk.0.attn_q.weight", ones, [1])
    flags = ("--type", "Q4_0", "--imatrix", str(path))
    done = program.call("quantize", str(source), "out.gguf", *flags)
    assert "imatrix size 3 is different from tensor size 256" in done.complaint(ExitCode.BACKEND)
    assert [each.name for each in tmp_path.glob("*out*")] == []


def test_an_importance_matrix_changes_the_weights(source, matrix, program: Program) -> None:
    for name, flags in {"a": (), "b": ("--imatrix", str(matrix))}.items():
        assert program.call("quantize", str(source), name, "--type", "Q4_K_S", *flags).code == 0
    files = [program.place / name for name in "ab"]
    first, second = (path.read_bytes()[read_header(path).data_offset :] for path in files)
    assert len(first) == len(second) and first != second


def test_the_result_tells_of_its_importance_matrix(program: Program) -> None:
    path = write_llama(program.place / "model.gguf", type="F16")
    name = "é" * 60 + "-with-a-long-name.gguf"  # more than llama.cpp takes
    flags = ("imatrix", str(path), name, "--text", "-", "--chunk", "32", "--chunks", "2")
    assert program.call(*flags, stdin=STORY.encode()).code == 0
    flags = ("quantize", str(path), "out.gguf", "--type", "Q4_0", "--imatrix", name, "--json")
    told, done = program.call(*flags, "--dry-run"), program.call(*flags)
    assert told.json["result"] == done.json["result"]
    made = program.place / "out.gguf"
    fields = {key: field.contents() for key, field in gguf.GGUFReader(made).fields.items()}
    assert {key: fields[key] for key in fields if key.startswith("quantize.")} == {
        "quantize.imatrix.file": "é" * 60 + "-with-a",
        "quantize.imatrix.entries_count": 14,
        "quantize.imatrix.dataset": "-",
        "quantize.imatrix.chunks_count": 2,
    }
    again = ("quantize", "out.gguf", "x.gguf", "--type", "Q8_0", "--requantize", "--json")
    short = program.place / "m.gguf"
    os.rename(program.place / name, short)
    told, done = (program.call(*again, "--imatrix", "m.gguf", *dry) for dry in (("--dry-run",), ()))
    assert told.json["result"] == done.json["result"]  # where a text is replaced by another


def test_names_with_odd_characters_do_not_mislead(tmp_path) -> None:
    odd = {"blk.0.a+(b) - [1, 2], type = x.weight": np.ones((4, 64), np.float16)}
    path = write_llama(tmp_path / "odd.gguf", type="F16", tensors=odd)
    header = read_header(path)
    plan = planned(header, Recipe("Q4_0", 1, kept={next(iter(odd)): "F16"}))
    assert plan.types[next(iter(odd))] == "F16"
