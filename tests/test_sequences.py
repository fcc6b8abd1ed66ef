"""Models that llama.cpp gets wrong with several sequences: tried in a child, given fewer or one."""

from __future__ import annotations

import importlib
import json
import os
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from asked import LONG, SHORT, ends, ids, raw, settings
from models import write_llama, write_mamba
from odd_shapes import write_deepseek4, write_kimi_linear, write_plamo2
from rendering import Pipe
from shapes import write_hybrid

from llmparams_cli.backends.llama.backend import LlamaBackend
from llmparams_cli.backends.llama.decoding.room import Room, able, even
from llmparams_cli.backends.llama.host import sequences
from llmparams_cli.backends.llama.machine import child, probe, remembered
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model

WRITERS = {
    "plamo2": write_plamo2,
    "kimi-linear": write_kimi_linear,
    "deepseek4": write_deepseek4,
    "jamba": write_hybrid,
    "mamba": write_mamba,
    "llama": partial(write_llama, context=4096),
}
# Answers of several lengths, so that those that go on move into the places of others.
TEXTS = (SHORT, "hi", LONG[:200], SHORT * 3, "hi", LONG, "a fox", LONG[:99] * 2, "q")
TOKENS = (3, 12, 5, 9, 12, 2, 14, 7, 11)
NO_LIBRARY = {"LLAMA_CPP_LIB_PATH": "/nonexistent"}  # for a child process: this one has it


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("odd")
    return {name: write(place / f"{name}.gguf") for name, write in WRITERS.items()}


@contextmanager
def opened(path: Path, cache: Path, **variables: str):
    """The backend of a model, and where its notes go."""
    run = Pipe(variables={**os.environ, "LLMPARAMS_CACHE_DIR": str(cache), **variables})
    model = find_model(str(path), run.env)
    with (
        Control() as control,
        closing(
            LlamaBackend(run.env, model, settings(), control, lambda *_: None, slots=1)
        ) as backend,
    ):
        yield backend, run


def asked(count=len(TEXTS), **values):
    each = zip(TEXTS[:count], TOKENS, strict=False)
    return [raw(text, max_tokens=n, ignore_eos=True, **values) for text, n in each]


def tried(cache: Path) -> dict[str, dict[str, object]]:
    """What is remembered of models, by architecture."""
    (entry,) = json.loads((cache / "probe.json").read_text()).values()
    return {name.split()[0]: found for name, found in entry["sequences"].items()}


def same(some, others):
    """Are the tokens the same, with the same log-probabilities but for rounding?"""
    assert [ids(one) for one in some] == [ids(other) for other in others]
    for one, other in zip(some, others, strict=True):
        expected = [token.logprob for token in other.tokens]
        assert [token.logprob for token in one.tokens] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", WRITERS)
def test_every_answer_is_that_of_its_prompt_alone(name, models, tmp_path):
    requests = asked(logprobs=0)
    with opened(models[name], tmp_path) as (backend, run):
        together = ends(backend, requests)
        told = run.stderr
    alone = []
    for request in requests:
        with opened(models[name], tmp_path) as (backend, _):
            alone += ends(backend, [request])
    same(together, alone)
    few = name in ("plamo2", "deepseek4")
    line = "llmparams: one answer at a time: with more, llama.cpp computes wrong numbers"
    assert told == (f"{line} for this model ({name})\n" if few else "")


@pytest.mark.parametrize("name", ["plamo2", "jamba"])
def test_what_was_tried_is_remembered_and_told_in_every_run(name, models, tmp_path):
    with opened(models[name], tmp_path) as (backend, run):
        for _ in range(2):
            ends(backend, asked(3))
        told = run.stderr
    memory = (tmp_path / "probe.json").read_bytes()
    with opened(models[name], tmp_path, **NO_LIBRARY) as (backend, run):
        ends(backend, asked(4))
        assert run.stderr == told
        assert told.count("\n") == (name == "plamo2")
    assert (tmp_path / "probe.json").read_bytes() == memory


def test_a_model_of_attention_alone_is_not_tried(models, tmp_path):
    with opened(models["llama"], tmp_path, **NO_LIBRARY) as (backend, run):
        ends(backend, asked())
        assert run.stderr == ""
    assert not any(tmp_path.iterdir())


def test_one_prompt_is_not_tried(models, tmp_path):
    with opened(models["deepseek4"], tmp_path, **NO_LIBRARY) as (backend, run):
        ends(backend, asked(1))
        assert run.stderr == ""
    assert not any(tmp_path.iterdir())


def test_without_a_trial_it_is_one_answer_at_a_time_and_nothing_remembered(models, tmp_path):
    with opened(models["jamba"], tmp_path, **NO_LIBRARY) as (backend, run):
        ends(backend, asked())
        assert backend._slots.context.sequences == 1
        assert run.stderr.startswith("llmparams: one answer at a time: whether more are possible")
        assert "does not load" in run.stderr and run.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())
    with opened(models["jamba"], tmp_path) as (backend, run):
        ends(backend, asked())
        assert backend._slots.context.sequences == 16
        assert run.stderr == ""


def test_where_many_do_not_work_a_few_may(models, tmp_path):
    """Kimi Linear wants a piece to be divisible by the number of sequences: 66 is by 2."""
    odd = {"ubatch_size": 66, "logprobs": 0}
    with opened(models["kimi-linear"], tmp_path) as (backend, run):
        few = ends(backend, asked(**odd))
        assert backend._slots.context.sequences == 2
        assert run.stderr.startswith("llmparams: 2 answers at a time: with more, llama.cpp crashes")
        (found,) = tried(tmp_path).values()
        assert (found["works"], found["fails"]) == (2, 16)
        same(few, [ends(backend, [request])[0] for request in asked(**odd)])


def test_a_larger_number_is_another_question_and_a_smaller_one_is_not(models, tmp_path):
    for count, works in ((2, 2), (5, 8), (3, 8)):
        with opened(models["mamba"], tmp_path) as (backend, _):
            ends(backend, asked(count))
        assert tried(tmp_path)["mamba"]["works"] == works


def most(path, cache, wanted, control=None, *, shared=False, size=4096, **values):
    run = Pipe(variables={**os.environ, "LLMPARAMS_CACHE_DIR": str(cache)})
    header = find_model(str(path), run.env).header
    control = control or Control()
    return sequences.most(run.env, header, settings(**values), wanted, size, control, shared=shared)


@pytest.mark.parametrize("name", WRITERS)
def test_with_shared_cells_as_with_cells_of_their_own(name, models, tmp_path):
    for number in (2, 8):
        right = 1 if name in ("plamo2", "deepseek4") else number
        assert most(models[name], tmp_path, number, shared=True) == right


def test_settings_and_shapes_are_tried_apart_and_copies_are_not(models, tmp_path):
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(models["mamba"].read_bytes())
    other = write_mamba(tmp_path / "other.gguf", width=128)
    cache = tmp_path / "cache"

    def known():
        (entry,) = json.loads((cache / "probe.json").read_text()).values()
        return len(entry["sequences"])

    most(models["mamba"], cache, 2)
    for path, values, count in (
        (copy, {"threads": 2, "context": 512}, 1),
        (other, {}, 2),
        (copy, {"flash_attention": "off"}, 3),
        (copy, {"ubatch_size": 128}, 4),
        (copy, {"batch_size": 128}, 4),
        (copy, {"size": 128}, 4),
        (copy, {"shared": True}, 5),
    ):
        most(path, cache, 2, **values)
        assert known() == count


def test_ctrl_c_ends_a_trial(models, tmp_path):
    control = Control()
    control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    with pytest.raises(KeyboardInterrupt):
        most(models["jamba"], tmp_path, 4, control)
    assert not any(tmp_path.iterdir())


def test_a_trial_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "sleeper.py").write_text(
        "import time\nif __name__ == '__main__':\n    print('Good night', flush=True)\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sleeper = importlib.import_module("sleeper")
    end = child.run(Pipe(variables=os.environ).env, sleeper, patience=1)
    assert (end.code, end.output, end.fault) == (None, "Good night\n", "hangs")


def test_of_many_models_the_last_are_remembered(tmp_path):
    memory = remembered.Memory(tmp_path)
    found = remembered.Sequences(8)
    for number in range(remembered.MODELS + 1):
        memory.learn_sequences(f"model {number}", found)
        memory.learn_sequences("model 0", found)
    again = remembered.Memory(tmp_path)
    assert again.recall_sequences("model 0") == again.recall_sequences("model 3") == found
    assert again.recall_sequences("model 1") == remembered.Sequences()


def test_doctor_forgets_when_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "USUAL_TYPES", ())
    remembered.Memory(tmp_path).learn_sequences("a model", remembered.Sequences(8))
    env = Pipe(variables={**os.environ, "LLMPARAMS_CACHE_DIR": str(tmp_path)}).env
    probe.report(env)
    assert remembered.Memory(tmp_path).recall_sequences("a model").works == 8
    probe.report(env, refresh=True)
    assert remembered.Memory(tmp_path).recall_sequences("a model").works == 1


# The numbers of slots


@pytest.mark.parametrize(
    ("slots", "fits", "right"), [(3, 4, 4), (3, 3, 2), (4, 4, 4), (9, 16, 16), (9, 15, 8)]
)
def test_the_slots_are_a_power_of_two_as_large_as_memory_allows(slots, fits, right):
    def lack(room: Room) -> str:
        return "" if room.slots <= fits else "memory"

    assert even(Room(slots, slots * 512, shared=False), lack) == Room(right, right * 512, False)
    assert even(Room(slots, 700, shared=True), lack) == Room(right, 700, True)


def test_a_room_gets_as_many_slots_as_work():
    own, shared = Room(16, 4096, shared=False), Room(16, 900, shared=True)
    assert able(own, 16, 8192) is own
    assert able(own, 2, 8192) == Room(2, 512, shared=False)
    assert able(shared, 2, 8192) == Room(2, 900, shared=True)
    assert able(own, 1, 8192) == able(shared, 1, 8192) == Room(1, 8192, shared=True)


# The program


def test_compare_tells_it_on_one_line_and_is_right(program, models):
    prompts = program.place / "prompts.txt"
    prompts.write_text(f"{SHORT}\nhi\n{LONG[:200]}\n")
    common = ("-m", str(models["deepseek4"]), "--raw", "-n", "6", "--ignore-eos", "--json")
    done = program.pipe("compare", *common, "--prompts", str(prompts), "--grid", "temperature=0,1")
    assert done.code == 0
    assert done.stderr.count("\n") == 1 and "one answer at a time" in done.stderr
    (greedy, _) = done.json["variants"]
    for sample in greedy["samples"]:
        alone = program.pipe(
            "generate", sample["prompt"], *common, "--temperature", "0", "--no-log"
        )
        assert alone.json["text"] == sample["text"]
        assert "one answer" not in alone.stderr


def test_quiet_does_not_tell_it(program, models):
    model = ("-m", str(models["plamo2"]), "--raw", "-n", "4", "--quiet")
    done = program.pipe("compare", "hi", *model, "--grid", "temperature=0,1")
    assert (done.code, done.stderr) == (0, "")
