"""`tune`: a model learns, is kept, goes on, and is measured; with llama.cpp's gradients."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import write_llama
from program import Program, wait_until

from llmparams_cli.backends.llama.weights import values
from llmparams_cli.errors import ExitCode
from llmparams_cli.models.gguf import read_header

WORDS = ("the cat", "a dog", "my owl", "one fox", "her bee", "his hen")
ENGINE = ("--engine", "llama.cpp")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("tune") / "tiny.gguf", layers=2, width=32)


@pytest.fixture
def data(program: Program) -> Path:
    """Forty short texts, all of one form."""
    path = program.place / "data.jsonl"
    lines = [json.dumps({"text": f"{WORDS[n % 6]} sat on mat {n % 7}."}) for n in range(40)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def tune(program: Program, model: Path, data: Path) -> Any:
    """Runs the command in this process; `run` gives its JSON."""

    class Tune:
        place, out = program.place, program.place / "out.gguf"

        def arguments(self, *more: str) -> tuple[str, ...]:
            usual = {"--learning-rate": "0.01", "-c": "64", "--batch-size": "4"}
            given = [word for name in usual if name not in more for word in (name, usual[name])]
            return ("tune", str(model), str(data), *given, *ENGINE, *more)

        def call(self, *more: str) -> Any:
            return program.call(*self.arguments("-o", "out.gguf", *more))

        def run(self, *more: str) -> Any:
            done = self.call("--json", *more)
            assert done.code == 0, done.stderr
            return done.json

        def only(self, *more: str) -> Any:
            return program.call(*self.arguments(*more))

    return Tune()


def tensors(path: Path) -> dict[str, Any]:
    header = read_header(path)
    return {
        tensor.name: np.concatenate(
            [*values(path, header.data_offset + tensor.offset, tensor)], dtype=np.float32
        )
        for tensor in header.tensors
    }


def test_a_model_learns_and_says_so(tune, program: Program) -> None:
    found = tune.run("--steps", "30", "--prompt", "the cat")
    checks = found["course"]["checks"]
    assert found["course"]["end"] == "steps"
    assert checks[0]["step"] == 0 and checks[-1]["step"] == 30
    assert checks[-1]["loss"] < checks[0]["loss"] - 1
    assert [each["step"] for each in found["course"]["steps"]] == [*range(1, 31)]
    # What was measured on the file is what the trainer saw, but for F16.
    after = np.log(found["measured"]["after"]["perplexity"])
    assert after == pytest.approx(min(each["loss"] for each in checks), abs=0.02)
    assert found["plan"]["documents"] == {"train": 36, "held_out": 4}
    prompt = found["prompts"][0]
    answer = program.call(
        *("generate", "--model", "out.gguf", "the cat", "--raw", "--temperature", "0"),
        *("-n", "64", "--quiet", "--no-log", "--repeat-penalty", "1"),
    )
    assert prompt["before"] != prompt["after"]
    assert prompt["after"].strip() == answer.text.strip()


def test_the_metrics_stay_and_nothing_else(tune) -> None:
    tune.run("--steps", "4", "--every", "2")
    left = sorted(path.name for path in tune.place.iterdir() if "out.gguf" in path.name)
    assert left == ["out.gguf", "out.gguf.metrics.jsonl"]
    entries = (tune.place / "out.gguf.metrics.jsonl").read_text().splitlines()
    kinds = [(json.loads(line)["kind"], json.loads(line)["step"]) for line in entries]
    assert kinds == [
        *(("check", 0), ("step", 1), ("step", 2), ("check", 2)),
        *(("step", 3), ("step", 4), ("check", 4)),
    ]


def test_a_plan_is_told_and_nothing_is_written(tune) -> None:
    done = tune.only("--dry-run", "--steps", "3", "--json")
    assert done.code == 0, done.stderr
    plan = done.json
    assert plan["steps"] == 3 and plan["batch"] == 4 and plan["rows"]["train"] > 0
    assert plan["memory"] > 0 and plan["seconds"] > 0
    assert sorted(path.name for path in tune.place.glob("*.gguf*")) == []


def test_the_share_that_trains_is_told_first(tune) -> None:
    lines = tune.call("--steps", "2", "--train", "norms").text.splitlines()
    assert lines[2].startswith("trains       ") and "norms" in lines[2]


@pytest.mark.parametrize("rate", ["10", "100", "1e30"])
@pytest.mark.parametrize("every", ["1", "100"])
def test_a_rate_that_is_too_high_is_stopped_and_explained(tune, rate, every) -> None:
    done = tune.call("--learning-rate", rate, "--steps", "200", "--every", every)
    error = done.stderr.splitlines()[-1]
    assert done.code == ExitCode.TRAINING
    assert "the learning rate is too high" in error and "try --learning-rate" in error
    assert [*tune.place.glob("out.gguf*")] == []


def test_the_last_good_weights_are_kept_when_a_rate_is_too_high(tune) -> None:
    """The rate rises slowly enough for a better check before the loss runs away."""
    more = ("--warmup", "400", "--steps", "400", "--every", "2", "--schedule", "constant")
    done = tune.call("--learning-rate", "40", "--json", *more)
    assert done.code == ExitCode.TRAINING, done.stderr
    course = json.loads(done.stdout)["course"]
    assert course["end"] == "diverged" and 0 < course["best_step"] < len(course["steps"])
    assert read_header(tune.out).parameters


def test_early_stopping_stops(tune, data) -> None:
    """Four examples are learned by heart, and what is held out is of another form."""
    texts = [f"the cat sat on mat {n}." for n in range(4)]
    folder = tune.place / "both"
    folder.mkdir()
    (folder / "train.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in texts))
    (folder / "valid.jsonl").write_text(json.dumps({"text": "zq vx jj kk 9 8 7 !"}))
    data.unlink()
    folder.rename(data)
    found = tune.run("--steps", "300", "--every", "3", "--patience", "2")
    assert found["plan"]["documents"] == {"train": 4, "held_out": 1}  # as the folder divides them
    course = found["course"]
    assert course["end"] == "early"
    checks = [each["step"] for each in course["checks"]]
    assert checks[-1] < 300 and checks.index(course["best_step"]) == len(checks) - 3


def test_two_norms_learn_and_all_else_stays_to_the_bit(tune, model) -> None:
    names = ("blk.0.attn_norm.weight", "output_norm.weight")
    found = tune.run("--train", ",".join(names), "--steps", "5", "--type", "F32")
    before, after = tensors(model), tensors(tune.out)
    moved = [name for name in before if before[name].tobytes() != after[name].tobytes()]
    assert moved == [*names]
    assert found["untouched"] == len(before) - 2
    assert sorted(each["name"] for each in found["changed"]) == sorted(names)


@pytest.mark.parametrize("type", ["F16", "Q8_0"])
def test_of_another_type_all_but_what_learns_stays_too(type, tune, model, program) -> None:
    source = program.place / "source.gguf"
    done = program.call("quantize", str(model), str(source), "--type", type)
    assert done.code == 0, done.stderr
    arguments = ("tune", str(source), "data.jsonl", *ENGINE, "-c", "64", "--steps", "3")
    done = program.call(
        *arguments, "-o", "out.gguf", "--train", "output_norm", "--type", "F32", "--every", "1"
    )
    assert done.code == 0, done.stderr
    assert ("is quantised (Q8_0)" in done.stderr) == (type == "Q8_0")
    before, after = tensors(source), tensors(program.place / "out.gguf")
    moved = [name for name in before if before[name].tobytes() != after[name].tobytes()]
    assert moved == ["output_norm.weight"]


@pytest.mark.parametrize("source, made", [("F32", "F32"), ("BF16", "BF16"), ("Q8_0", "F16")])
def test_a_model_is_written_as_it_came_unless_it_was_quantised(
    source, made, tune, model, program: Program
) -> None:
    path = program.place / "source.gguf"
    done = program.call("quantize", str(model), str(path), "--type", source)
    assert done.code == 0, done.stderr
    arguments = ("tune", str(path), "data.jsonl", "-o", "out.gguf", *ENGINE, "--steps", "1")
    done = program.call(*arguments, "--train", "output_norm", "--json")
    assert done.json["result"]["type"] == made
    assert read_header(program.place / "out.gguf").quantization == made


def test_prompts_go_on_as_texts_where_there_is_no_template(program: Program, data) -> None:
    """And nobody is told at every check that there is none."""
    write_llama(program.place / "bare.gguf", layers=1, width=32, chat_template=None)
    line = json.dumps({"prompt": "who sat there?", "completion": " the cat"})
    data.write_text("\n".join([line] * 8))
    done = program.call("tune", "bare.gguf", str(data), "-o", "out.gguf", "--steps", "1", *ENGINE)
    assert done.code == 0, done.stderr
    assert "no chat template" not in done.stderr


def test_an_adapter_is_the_merged_model(tune, model, program: Program) -> None:
    """The file of the adapter beside the model gives the logits of the model with it in it."""
    more = ("--lora", "4", "--steps", "12", "--every", "6")
    tune.run(*more)
    adapter = tune.out.rename(program.place / "adapter.gguf")
    tune.run(*more, "--merge", "--type", "F32")
    told = ("the cat", "--raw", "--temperature", "0", "-n", "12", "--json", "--logprobs", "4")
    beside, merged, base = (
        program.call("generate", *which, *told).json
        for which in (
            ("--model", str(model), "--lora", str(adapter)),
            ("--model", "out.gguf"),
            ("--model", str(model)),
        )
    )
    assert beside["text"] == merged["text"] != base["text"]
    pairs = zip(beside["tokens"], merged["tokens"], strict=True)
    for one, other in pairs:
        assert one["logprob"] == pytest.approx(other["logprob"], abs=1e-3)


def test_a_prompt_is_masked(tune, data) -> None:
    """Of prompt and completion only the second counts, and its end."""
    line = json.dumps({"prompt": "who sat on the mat?", "completion": "the cat"})
    data.write_text("\n".join([line] * 10))
    whole, masked = (
        tune.only("--dry-run", "--json", *more).json["tokens"]["train"]
        for more in ((), ("--mask-prompt",))
    )
    assert 0 < masked < whole / 2


def killed_after(process: Any, folder: Path, checks: int) -> None:
    """Let a run make so many checks, and kill it."""
    state, metrics = folder / "state.npz", folder / "metrics.jsonl"

    def stamp() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    for _ in range(checks):
        before = stamp()
        wait_until(lambda before=before: process.poll() is not None or stamp() != before)
    wait_until(lambda: process.poll() is not None or metrics.exists())
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_run_goes_on_where_it_was_killed(tune, program: Program) -> None:
    """Killed at many moments, it comes to the same weights as in one go."""
    more = ("--steps", "24", "--every", "3", "--type", "F32")
    tune.run(*more)
    expected = tensors(tune.out)
    random_ = random.Random(1)
    folder, out = program.place / "again.gguf.tune", program.place / "again.gguf"
    arguments = tune.arguments("-o", "again.gguf", *more)
    for _ in range(4):
        resume = ("--resume",) if folder.exists() else ()
        killed_after(program.start(*arguments, *resume), folder, random_.randint(0, 2))
    resume = ("--resume",) if folder.exists() else ("--force",)
    done = program.call(*arguments, *resume, "--json")
    assert done.code == 0, done.stderr
    assert [each["step"] for each in done.json["course"]["steps"]] == [*range(1, 25)]
    found = tensors(out)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert not folder.exists()


def test_ctrl_c_keeps_what_was_learned(tune, program: Program) -> None:
    folder = program.place / "out.gguf.tune"
    process = program.start(*tune.arguments("-o", "out.gguf", "--steps", "5000"))
    wait_until(lambda: (folder / "state.npz").exists())
    process.send_signal(signal.SIGINT)
    done = program.end(process)
    assert done.code == ExitCode.INTERRUPTED, done.stderr
    assert "--resume goes on from there" in done.stderr
    assert not tune.out.exists()
    with np.load(folder / "state.npz") as state:
        position = json.loads(state["position"].tobytes())
    steps = (folder / "metrics.jsonl").read_text().count('"kind": "step"')
    assert position["step"] == steps


def test_an_unfinished_run_is_not_lost_by_accident(tune, program: Program) -> None:
    folder = program.place / "out.gguf.tune"
    process = program.start(*tune.arguments("-o", "out.gguf", "--steps", "150"))
    wait_until(lambda: (folder / "state.npz").exists())
    process.kill()
    process.communicate()
    same = ("--steps", "150")
    assert "--resume goes on with it, --force begins anew" in tune.call(*same).stderr
    error = tune.call("--resume", *same, "--batch-size", "2").stderr
    assert "--resume: batch is 2 now, and was 4" in error
    assert "there is no unfinished run" in program.call(
        *tune.arguments("-o", "other.gguf", "--resume")
    ).complaint(2)
    done = tune.call("--resume", *same, "--every", "50")  # decides no weight
    assert done.code == 0, done.stderr


def test_rates_are_tried_and_a_range_is_found(tune) -> None:
    done = tune.only("--find-learning-rate", "--json")
    assert done.code == 0, done.stderr
    found = done.json
    rates = [each["rate"] for each in found["steps"]]
    assert rates == sorted(rates)
    assert found["low"] <= found["suggested"] <= found["high"]
    assert found["low"] > 1e-6 and found["high"] <= rates[-1]
    assert "out.gguf" not in " ".join(path.name for path in tune.place.iterdir())


def test_rows_that_are_harder_do_not_look_like_a_rate_that_is_too_high(program, data) -> None:
    """At the lowest rates nothing has happened yet, whatever the rows of a step cost."""
    texts = ["Once upon a time there was a fox named Anna.", "Zq9 %& vX!! jj kk 7 7 0 # ~~ }{"]
    data.write_text("\n".join([json.dumps({"prompt": t, "completion": t}) for t in texts] * 6))
    usual = ("--find-learning-rate", "--batch-size", "1", "--steps", "8", "--train", "output_norm")
    done = program.call("tune", "builtin", str(data), *usual, *ENGINE, "--json")
    assert done.code == 0, done.stderr
    first = [each["loss"] for each in done.json["steps"][:6]]
    assert max(first) - min(first) < 0.02


def test_a_ladder_of_new_models(tune, program: Program, data, model) -> None:
    arguments = (
        *("tune", "--from-scratch", str(data), "--vocab", f"from:{model}", "--hidden", "32"),
        *("--grid", "layers=1,2", "--heads", "2", "--steps", "8", "-c", "64", *ENGINE),
    )
    done = program.call(*arguments, "--json", "-o", "best.gguf")
    assert done.code == 0, done.stderr
    rungs = done.json["ladder"]
    assert [each["values"] for each in rungs] == [{"layers": "1"}, {"layers": "2"}]
    assert rungs[0]["parameters"] < rungs[1]["parameters"]
    best = min(rungs, key=lambda each: each["loss"])
    assert str(read_header(program.place / "best.gguf").block_count) == best["values"]["layers"]


WRONG = [
    (("--train", "biases"), "the model has no such tensors"),
    (("--train", "norm"), "did you mean"),
    (("--train", "embeddings"), "llama.cpp cannot train"),
    (("--lora", "4", "--train", "norms"), "no matrix of a layer is meant"),
    (("--lora-alpha", "4"), "--lora-alpha has no effect without --lora"),
    (("--lora", "4", "--type", "Q8_0"), "--type has no effect with --lora"),
    (("--layers", "2"), "--layers has no effect without --from-scratch"),
    (("--hold-back", "0", "--patience", "1"), "--patience judges by what is held out"),
    (("--epochs", "1", "--steps", "2"), "--epochs has no effect with --steps"),
    (("--grid", "depth=1,2"), "depth cannot vary"),
    (("--grid", "layers=1,2"), "the model has its shape"),
    (("--grid", "seed=1,2", "--hold-back", "0"), "--grid compares by what is held out"),
    (("--precision", "bf16"), "llama.cpp trains in F32 alone"),
    (("--learning-rate", "nan"), "--learning-rate nan is no number"),
    (("--epochs", "inf"), "--epochs inf is no number to learn with"),
    (("--from-scratch",), "--from-scratch starts without one"),
    (("--type", "Q9"), "there is no such type"),
]


@pytest.mark.parametrize("more, words", WRONG, ids=[" ".join(more) for more, _ in WRONG])
def test_what_cannot_be_is_refused_in_one_line(more, words, tune) -> None:
    done = tune.call(*more)
    assert words in done.complaint(2)
    assert [*tune.place.glob("out.gguf*")] == []


def test_a_type_that_cannot_be_made_is_refused_before_the_work(program: Program, data) -> None:
    arguments = ("tune", "builtin", "data.jsonl", "-o", "out.gguf", "--type", "IQ1_S", *ENGINE)
    error = program.call(*arguments, "--train", "norms").complaint(2)
    assert "--type IQ1_S needs an importance matrix" in error


def test_the_model_itself_is_not_overwritten(program: Program, model, data) -> None:
    own = program.place / "own.gguf"
    own.write_bytes(model.read_bytes())
    arguments = ("tune", "own.gguf", str(data), "-o", "own.gguf", "--force", *ENGINE)
    assert "is the model itself" in program.call(*arguments, "--steps", "2").complaint(2)
    assert own.read_bytes() == model.read_bytes()


def test_a_run_that_goes_on_is_not_deleted(tune, program: Program) -> None:
    process = program.start(*tune.arguments("-o", "out.gguf", "--steps", "5000"))
    folder = program.place / "out.gguf.tune"
    wait_until(lambda: (folder / "state.npz").exists())
    assert "this run goes on already" in tune.call("--steps", "2", "--force").complaint(2)
    assert process.poll() is None and (folder / "state.npz").exists()
    process.kill()
    process.communicate()


def test_prompts_and_rows_as_long_as_the_model_reads(tune, data) -> None:
    """Of the prompts none is chosen that no check could answer."""
    lines = [{"prompt": "why " * 300, "completion": "so"}] * 6 + [{"text": "the cat " * 200}] * 6
    data.write_text("\n".join(map(json.dumps, lines)))
    done = tune.call("-c", "256", "--steps", "2", "--json")
    assert done.code == 0, done.stderr
    assert "6 of the examples have nothing to learn within 256 tokens" in done.stderr
    assert "why" not in " ".join(each["prompt"] for each in done.json["prompts"])
    error = tune.call("--prompt", "why " * 600, "--steps", "2", "--force").complaint(2)
    assert "--prompt is too long" in error


def test_the_end_of_a_single_text_is_held_out(program: Program, model) -> None:
    (program.place / "text.txt").write_text("the cat sat on the mat. " * 40)
    done = program.call("tune", str(model), "text.txt", "--dry-run", "--json", *ENGINE)
    assert done.code == 0, done.stderr
    assert done.json["documents"] == {"train": 1, "held_out": 1}
    assert done.json["tokens"]["held_out"] < done.json["tokens"]["train"] / 5


def test_runs_that_all_ran_away_have_no_best(tune) -> None:
    done = tune.call("--grid", "learning_rate=1e30,1e35", "--steps", "30", "--every", "5")
    assert done.code == ExitCode.TRAINING and not tune.out.exists()
    assert "the loss ran away in every run" in done.stderr


def test_without_output_there_is_nothing_to_do(tune) -> None:
    assert "-o is missing" in tune.only().complaint(2)


def test_nothing_held_out_keeps_the_last_step(tune) -> None:
    found = tune.run("--hold-back", "0", "--steps", "3")
    assert found["measured"] is None
    assert found["plan"]["documents"] == {"train": 40, "held_out": 0}
    assert tune.out.exists()


def test_examples_come_by_a_pipe(program: Program, model) -> None:
    lines = "\n".join(json.dumps({"text": f"the cat sat {n}."}) for n in range(8))
    arguments = ("tune", str(model), "-", "-o", "out.gguf", "--steps", "2", *ENGINE)
    done = program.call(*arguments, "--json", stdin=lines.encode())
    assert done.code == 0, done.stderr
    assert sum(done.json["plan"]["documents"].values()) == 8


def test_a_full_disk_or_a_bad_folder_loses_nothing(tune) -> None:
    assert "there is no such folder" in tune.only("-o", "nowhere/out.gguf").complaint(2)
