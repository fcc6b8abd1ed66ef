"""`optimize --for speed`: with planted times, and once with real ones, whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from program import Program
from test_optimize_plots import Picture

from llmparams_cli.errors import ExitCode
from llmparams_cli.jobs.optimization import by_speed
from llmparams_cli.protocol import Request, Timing

SPEED = ("optimize", "--for", "speed")
PLANTED = {"64": 1.0, "128": 0.5, "256": 2.0}  # seconds by ubatch_size; the default, 512, takes 1.2


@dataclass
class Clock:
    """Answers for real, one token each, and says that it took as long as is planted."""

    requests: list[Request] = field(default_factory=list)
    stalls: Iterator[float] = field(default_factory=lambda: iter(()))

    def answer(self, backend: Any, request: Request) -> Any:
        self.requests.append(request)
        seconds = PLANTED.get(str(request.settings["ubatch_size"]), 1.2) + next(self.stalls, 0.0)
        seconds /= 2 if request.settings["cache_type_k"] == "q8_0" else 1
        started, finished = by_speed_answer(backend, request)
        return started, replace(finished, timing=Timing(0, seconds / 4, seconds * 3 / 4, 0))


by_speed_answer = by_speed.answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(by_speed, "answer", found.answer)
    return found


def short(*more: str) -> tuple[str, ...]:
    return (*SPEED, "--prompt-tokens", "40", "-n", "1", *more)


def test_the_fastest_setting_is_found_and_proved(program: Program, clock: Clock) -> None:
    flags = ("--over", "ubatch_size=64,128,256,512", "-o", "fast", "--svg", "fast.svg")
    done = program.call(*short(*flags, "--json"))
    assert done.code == 0, done.stderr
    found = done.json
    assert found["best"]["values"] == {"ubatch_size": "128"} and found["better"]
    assert found["best"]["score"] == pytest.approx(2.4)
    assert found["held_back"]["winner"] == pytest.approx([2.4] * 10)
    assert found["verdict"] == "faster than the default: × 2.400 (the same each time, p = 0.002)"
    winner, default = found["tokens_per_second"].values()
    assert (winner["read"], winner["written"]) == pytest.approx((40 / 0.125, 1 / 0.375))
    assert winner["read"] == pytest.approx(2.4 * default["read"])
    scores = {trial["values"]["ubatch_size"]: trial["scores"] for trial in found["trials"]}
    assert scores["64"] == pytest.approx([1.2]) and scores["256"] == pytest.approx([0.6])
    assert [trial["given_up"] for trial in found["trials"]] == [False, False, True, False]
    text = (program.place / "presets" / "fast.yaml").read_text()
    assert "  ubatch_size: 128 " in text and "# found by optimize" in text
    assert "--for speed" in text and "Proved 10 times more beside the default: × 2.400" in text
    assert "times as fast" in Picture((program.place / "fast.svg").read_bytes()).texts
    asked = program.call("generate", "hi", "-p", "fast", "--show-params", "--json").json
    assert "128" in str(asked)


def test_a_cache_of_fewer_bits_wins_with_a_word_about_it(program: Program, clock: Clock) -> None:
    told = "another type of cache changes the numbers a little"
    done = program.call(*short("--over", "cache_type_k=f16,q8_0"))
    assert "faster than the default: × 2.000" in done.text and told in done.text
    assert told not in program.call(*short("--over", "ubatch_size=64,128")).text


def test_runs_alternate_and_no_prompt_is_in_the_context(program: Program, clock: Clock) -> None:
    program.call(*short("--over", "ubatch_size=64,128", "--threads", "1"))
    clock.requests.pop(0)  # can the default be run?
    measured = [each for each in clock.requests if " run " in each.messages[0].content]
    assert len(clock.requests) == 2 * len(measured)  # each is warmed up
    assert len(measured) == 2 * (2 * 3 + 10)
    order = [each.settings["ubatch_size"] for each in measured[:6]]
    assert order == [512, 64, 64, 512, 512, 64]
    for one, other in zip(clock.requests, clock.requests[1:], strict=False):
        assert one.messages[0].content[:6] != other.messages[0].content[:6]
    assert {each.settings["threads"] for each in measured} == {1}
    assert {each.settings["temperature"] for each in measured} == {0}


def test_a_stall_of_the_machine_decides_nothing(program: Program, clock: Clock) -> None:
    clock.stalls = iter([0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50, *[0] * 30])
    found = program.call(*short("--over", "ubatch_size=1024,2048", "--json")).json
    assert [trial["score"] for trial in found["trials"]] == pytest.approx([1.0, 1.0])
    assert found["verdict"] == ("no setting beat the default: none was better even in the search")


def test_a_model_is_timed_for_real(program: Program) -> None:
    del program.variables["LLMPARAMS_THREADS"]
    done = program.call(*SPEED, "--prompt-tokens", "30", "-n", "2", "--trials", "3", "--json")
    assert done.code == 0, done.stderr
    assert len(done.json["trials"]) == 3 and done.json["metric"] == "speed"
    assert all(trial["scores"][0] > 0 for trial in done.json["trials"])
    again = program.call(*(*SPEED, "--prompt-tokens", "30", "-n", "2", "--trials", "4"), "--resume")
    assert again.code == 0 and "4 trials of 30 tokens read and 2 written" in again.text


def test_a_context_that_is_too_small_is_left_out(program: Program, clock: Clock) -> None:
    done = program.call(*short("--over", "context=8,128", "--json"))
    assert done.code == 0, done.stderr
    small, large = done.json["trials"]
    assert small["scores"] == [] and large["scores"] == [1.0]
    assert small["failure"].startswith("the prompt has") and large["failure"] is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--cases", "c.yaml"), "--cases has no effect with --for speed"),
        (("--temperature", "1"), "--temperature has no effect with --for speed"),
        (("--when-thinking", "temperature=1"), "--when-thinking has no effect with --for speed"),
        (("--over", "top_k=1,2"), "--over top_k: --for speed is about the context"),
        (("--max-tokens", "-1"), "--max-tokens -1: no length of an answer"),
        (("--prompt-tokens", "4000"), "and a context of 1024"),
        (("--model", "scripted:s.yaml"), "its speed says nothing"),
        (
            ("--over", "flash_attention=off", "--over", "cache_type_v=q8_0,q4_0"),
            "nothing to choose",
        ),
    ],
)
def test_what_has_no_speed_is_refused(flags: tuple[str, ...], words: str, program: Program) -> None:
    (program.place / "s.yaml").write_text("answers: [{text: hi}]")
    assert words in program.call(*SPEED, *flags).complaint(ExitCode.USAGE)


def test_answers_are_searched_by_cases(program: Program) -> None:
    done = program.call("optimize", "--over", "top_k=1,2")
    assert "--cases FILE is missing (--for speed needs none)" in done.complaint(ExitCode.USAGE)
    done = program.call("optimize", "--over", "top_k=1,2", "--prompt-tokens", "9")
    assert "no effect without --for speed" in done.complaint(ExitCode.USAGE)
