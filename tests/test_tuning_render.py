"""What `tune` prints: before a run, while it goes on, and what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import tuned
from program import wait_until
from rendering import Pipe, Terminal
from tuned import HOSTILE, PLAN

from llmparams_cli.analysis.tuning import Check, Course, End, Stride, Sweep, Tuned
from llmparams_cli.env import Environment
from llmparams_cli.render.tuning import data, report, variants
from llmparams_cli.render.tuning.live import Live
from llmparams_cli.render.tuning.words import by_layer, rate_text

Show = Callable[[Environment], None]


def lines(show: Show, encoding: str = "utf-8") -> list[str]:
    pipe = Pipe(encoding)
    show(pipe.env)
    pipe.env.stdout.flush()
    return pipe.stdout.decode(encoding).splitlines()


def told(found: Tuned) -> list[str]:
    return lines(lambda env: report.show(env, found, "auto"))


def parsed(show: Show) -> dict:
    (line,) = lines(show)
    return json.loads(line)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (3e-4, "3e-4"),
        (1.25e-5, "1.25e-5"),
        (0.001, "0.001"),
        (0.0123, "0.0123"),
        (0, "0"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_rates_are_short(rate: float | None, text: str) -> None:
    assert rate_text(rate) == text


# -- the plan and the report ---------------------------------------------------------------------


def test_the_plan_says_what_trains_on_what_and_what_that_takes() -> None:
    assert lines(lambda env: report.show_plan(env, PLAN, "auto")) == [
        "model        fox",
        "engine       PyTorch, bf16, on cuda",
        "trains       1.6% of the parameters (49.2K of 3.0M): an adapter of rank 8",
        "learns from  1,234 documents, 2,345 rows, 345,678 tokens",
        "held out     65 documents, 120 rows, 18,000 tokens",
        "work         300 steps × 8 rows × 256 tokens = 2 epochs",
        "optimiser    adamw, rate 3e-4, cosine, 20 steps of warm-up",
        "memory       about 1.2 GB",
        "time         about 3:10",
    ]
    bare = replace(PLAN, memory=None, seconds=None, warmup=0, documents=(1, 0))
    shown = lines(lambda env: report.show_plan(env, bare, "auto"))
    assert len(shown) == 7 and shown[-1].endswith("cosine") and "1 document," in shown[3]


def test_the_report_says_why_it_ended_and_which_weights_are_kept() -> None:
    shown = told(tuned.tuned())
    assert shown[:3] == [
        "fox-tuned.gguf: Q8_0, 3.2 MB",
        "early stopping after 300 of 300 steps",
        "the weights of step 125 are kept, the best on what is held out",
    ]
    assert shown[3].startswith("it overfits from step 125 on")
    assert [line.split() for line in shown[5:8]] == [
        ["held", "out", "before", "after"],
        ["loss", "2.550", "1.381"],
        ["perplexity", "11.305", "±", "0.745", "3.796", "±", "0.138"],
    ]
    assert shown[8] == "perplexity × 0.3358 ± 0.0100"


def test_a_run_that_ran_away_tells_the_cure() -> None:
    shown = told(tuned.tuned(tuned.diverged(), held_out=None))
    assert shown[1:4] == [
        "the loss ran away after 195 of 300 steps",
        "the weights of step 175 are kept, the best on what is held out",
        "a lower --rate helps: 1e-4",
    ]


@pytest.mark.parametrize(
    ("course", "word"),
    [
        (Course(), "nothing was held out"),
        (Course(checks=(Check(0, 1.0, True), Check(9, 2.0, False))), "no later ones were better"),
    ],
)
def test_what_is_kept_without_a_gain(course: Course, word: str) -> None:
    assert word in told(tuned.tuned(course, held_out=None))[2]


def test_answers_stand_side_by_side() -> None:
    shown = told(tuned.tuned())
    at = shown.index("Once upon a time")
    head, first, second = shown[at + 1 : at + 4]
    place = head.index("after")
    assert first.startswith("a fox fox fox fox ") and first[place:].startswith("there was a fox")
    assert second.startswith(" ") and "She was clever." in "\n".join(shown)
    same = told(tuned.tuned(before=("yes", "no"), after=("yes", "no")))
    assert same.count("before and after") == 2 and same.count("yes") == 1


def test_changes_stand_by_layer_and_family() -> None:
    shown = told(tuned.tuned())
    at = next(i for i, line in enumerate(shown) if line.startswith("layer "))
    assert shown[at].split() == ["layer", "attention", "feed-forward", "norms"]
    row = shown[at + 4].split()
    assert row[0] == "3" and row[1] == "████████" and row[2] == "4.0%"
    assert [line.split()[-1] for line in shown[-3:-1]] == ["layers", "3.1%"]
    assert shown[-1] == "12 tensors untouched: the same to the bit"


def test_kinds_have_columns_of_their_own_where_there_is_room() -> None:
    kinds, layers = by_layer(tuned.changed(2), grouped=False)
    assert kinds == ["attention q", "attention v", "feed-forward up", "norms"]
    assert layers[1]["attention v"] == pytest.approx(0.03)
    kinds, layers = by_layer(tuned.changed(2), grouped=True)
    assert kinds == ["attention", "feed-forward", "norms"]
    assert layers[0]["attention"] == pytest.approx((0.012 + 0.02) / 2)


def test_many_layers_are_cut() -> None:
    shown = told(tuned.tuned(changed=tuned.changed(100), untouched=0))
    assert "and 40 more layers (--json)" in shown and "output.weight" in shown[-1]


@pytest.mark.parametrize("width", [20, 40, 80, 130])
def test_the_report_fits_the_terminal(width: int) -> None:
    terminal = Terminal(width, 200, variables={"TERM": "xterm", "NO_COLOR": "1"})
    report.show_plan(terminal.env, PLAN, "auto")
    report.show(terminal.env, tuned.tuned(), "auto")
    variants.show_sweep(terminal.env, tuned.sweep(), "auto")
    variants.show_ladder(terminal.env, tuned.rungs(), ["layers"], "auto")
    terminal.env.stdout.flush()
    received = terminal.bytes()
    assert b"\x1b" not in received
    if width >= 40:
        assert all(len(line) <= width + 3 for line in received.decode().splitlines())


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_hostile_texts_are_shown_and_not_obeyed(encoding: str) -> None:
    found = tuned.tuned(
        replace(tuned.diverged(), word=HOSTILE),
        plan=replace(PLAN, model=HOSTILE, trains=HOSTILE),
        target=HOSTILE,
        prompts=(HOSTILE,),
        before=(HOSTILE,),
        after=(HOSTILE + "x",),
    )
    rungs = [replace(rung, values={HOSTILE: HOSTILE}) for rung in tuned.rungs()]

    def show(env: Environment) -> None:
        report.show_plan(env, found.plan, "auto")
        report.show(env, found, "auto")
        variants.show_ladder(env, rungs, [HOSTILE], "auto")

    text = "\n".join(lines(show, encoding))
    assert "\x1b" not in text and "\u202e" not in text
    assert "<1b>" in text and "[bold]" in text


# -- the live panel ------------------------------------------------------------------------------


def play(live: Live, course: Course, until: int = 300) -> None:
    checks = {check.step: check for check in course.checks}
    live.check(checks[0])
    for stride in course.strides[:until]:
        live.step(stride)
        if stride.step in checks:
            live.check(checks[stride.step])


def test_in_a_pipe_every_check_is_a_line() -> None:
    pipe = Pipe()
    with Live(pipe.env, PLAN) as live:
        play(live, tuned.overfitted(), 150)
    shown = pipe.stderr.splitlines()
    assert len(shown) == 7 and pipe.stdout == b""
    assert shown[0] == "llmparams: step 0: held out 2.550"
    assert shown[5] == (
        "llmparams: step 125: loss 1.295, held out 1.381 (best), rate 2e-4, 3,333 tokens/s"
    )
    assert "(best)" not in shown[6]


def test_quiet_is_silent() -> None:
    pipe = Pipe(quiet=True)
    with Live(pipe.env, PLAN) as live:
        play(live, tuned.course())
    terminal = Terminal(80, quiet=True)
    with Live(terminal.env, PLAN) as live:
        play(live, tuned.course())
    assert pipe.stderr == "" and terminal.bytes() == b""


def seen(terminal: Terminal, course: Course, words: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the terminal received up to these words, and after them."""
    monkeypatch.setattr("llmparams_cli.render.progress.PATIENCE", 0.0)
    monkeypatch.setattr("llmparams_cli.render.tuning.live.OFTEN", 0.0)
    with Live(terminal.env, PLAN) as live:
        play(live, course, 200)
        wait_until(lambda: words in terminal.received())
        terminal.env.note("a line in between")
        live.step(course.strides[200])
    return terminal.received()


def test_the_panel_shows_both_curves_and_the_newest_answer(monkeypatch) -> None:
    terminal = Terminal(80)
    text = seen(terminal, tuned.overfitted(), "step 200 of 300", monkeypatch)
    assert "epoch 1.33 · rate 9.75e-5 · 3,333 tokens/s" in text
    assert "held out  1.448" in text and "best 1.381 at step 125" in text
    assert "Once upon a time, after 200 steps." in text
    assert any(level in text for level in "▂▃▄") and "training" in text
    assert terminal.lines() == ["llmparams: a line in between"]  # and nothing else is left


def test_ctrl_c_leaves_a_clean_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmparams_cli.render.progress.PATIENCE", 0.0)
    terminal = Terminal(80)
    with pytest.raises(KeyboardInterrupt), Live(terminal.env, PLAN) as live:
        play(live, tuned.course(), 60)
        wait_until(lambda: "step" in terminal.received())
        raise KeyboardInterrupt
    assert terminal.lines() == [""]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("width", [40, 60])
def test_narrow_plain_and_hostile(width, encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    variables = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(width)}
    terminal = Terminal(width, encoding=encoding, variables=variables)
    course = tuned.diverged()
    checks = tuple(replace(check, answers=(HOSTILE * 9,)) for check in course.checks)
    course = replace(course, checks=checks, strides=course.strides * 2)
    text = seen(terminal, course, "held out", monkeypatch)
    assert "\x1b[31m" not in text and "\u202e" not in text and "answer" in text
    assert terminal.lines() == ["llmparams: a line in between"]


def test_numbers_that_are_none_do_not_break_the_panel(monkeypatch) -> None:
    monkeypatch.setattr("llmparams_cli.render.tuning.live.OFTEN", 0.0)
    terminal = Terminal(80)
    with Live(terminal.env, replace(PLAN, steps=0)) as live:
        for loss in (math.nan, math.inf, 1e30, -1.0):
            live.check(Check(0, loss, False))
            live.step(Stride(1, 0.0, loss, math.nan, loss, 0, 0.0))
    assert terminal.lines() == [""]


# -- sweep and ladder ----------------------------------------------------------------------------


def test_a_sweep_marks_the_range_and_the_suggestion() -> None:
    shown = lines(lambda env: variants.show_sweep(env, tuned.sweep(), "auto"))
    assert len(shown) <= 24 and shown[-1].startswith("suggested: 4e-4 (the loss falls from 4e-5")
    marks = [line.split()[-1] for line in shown if "falls" in line or line.endswith("suggested")]
    assert marks.count("suggested") == 1 and marks.count("falls") > 3
    none = lines(lambda env: variants.show_sweep(env, tuned.sweep(found=False), "auto"))
    assert none[-1] == "the loss falls at none of these rates"
    lost = Sweep((1e-5,), (math.nan,), (math.nan,), None, None, None)
    assert "nan" in lines(lambda env: variants.show_sweep(env, lost, "auto"))[1]


def test_a_ladder_says_what_each_variant_is_worth() -> None:
    rungs = tuned.rungs()
    rungs.append(replace(rungs[2], loss=rungs[3].loss + 0.002, values={"layers": "5"}))
    rungs.append(replace(rungs[0], loss=math.nan, train=math.nan, values={"layers": "99"}))
    shown = lines(lambda env: variants.show_ladder(env, rungs, ["layers"], "auto"))
    verdicts = [line.split()[-1] for line in shown[1:9]]
    assert verdicts == [
        *("underfits", "underfits", "underfits", "best"),
        *("overfits", "overfits", "smaller", "diverged"),
    ]
    assert shown[10:12] == ["best: layers=6", "as good with 66.7% of its parameters: layers=5"]
    assert sum(line.startswith("underfits: ") for line in shown) == 1


def test_a_ladder_on_a_narrow_terminal_has_the_losses() -> None:
    terminal = Terminal(50, 60)
    variants.show_ladder(terminal.env, tuned.rungs(), ["layers"], "never")
    terminal.env.stdout.flush()
    shown = terminal.lines()
    assert shown[0].split() == ["layers", "parameters", "learned", "held", "out"]
    assert shown[4].split() == ["6", "3.0M", "1.200", "1.376", "best"]


# -- JSON ----------------------------------------------------------------------------------------


def test_json_has_the_whole_run() -> None:
    found = tuned.tuned()
    document = parsed(lambda env: data.show(env, found))
    course = document["course"]
    assert [each["step"] for each in course["steps"]] == list(range(1, 301))
    assert course["checks"][5] == {
        "step": 125,
        "loss": pytest.approx(found.course.checks[5].loss, abs=1e-6),
        "improved": True,
        "answers": list(found.course.checks[5].answers),
    }
    assert (course["end"], course["best_step"], course["overfits_from"]) == ("early", 125, 125)
    assert document["plan"]["tokens"] == {"train": 345_678, "held_out": 18_000}
    assert document["result"] == {"path": "fox-tuned.gguf", "type": "Q8_0", "size": 3_200_000}
    assert document["measured"]["after"]["perplexity"] == pytest.approx(3.7957, abs=1e-4)
    assert document["prompts"][1] == {"prompt": "2 + 2 =", "before": "5", "after": "4"}
    assert len(document["changed"]) == 17 and document["untouched"] == 12
    assert parsed(lambda env: data.show_plan(env, PLAN)) == document["plan"]


def test_json_has_null_for_what_is_no_number_and_keeps_tiny_rates() -> None:
    strides = (Stride(1, 0.01, math.nan, 3.25e-9, math.inf, 9, 0.5),)
    course = Course(strides, (Check(0, math.nan, False),), End.DIVERGED)
    document = parsed(lambda env: data.show(env, tuned.tuned(course, held_out=None)))
    (step,) = document["course"]["steps"]
    assert (step["loss"], step["gradient_norm"], step["rate"]) == (None, None, 3.25e-9)
    assert document["measured"] is None and document["course"]["best_step"] is None


def test_json_of_sweep_and_ladder() -> None:
    found = parsed(lambda env: data.show_sweep(env, tuned.sweep()))
    assert found["suggested"] == 4e-4 and len(found["steps"]) == 100
    assert found["steps"][-1]["loss"] is None and found["steps"][0]["rate"] == 1e-6
    ladder = parsed(lambda env: data.show_ladder(env, tuned.rungs()))
    assert ladder["best"] == {"layers": "6"}
    assert [each["verdict"] for each in ladder["ladder"]].count("overfits") == 2
    assert parsed(lambda env: data.show_ladder(env, []))["best"] is None


def test_json_keeps_hostile_texts() -> None:
    found = tuned.tuned(prompts=(HOSTILE,), before=("\udce3\udc81",), after=(HOSTILE,))
    (pair,) = parsed(lambda env: data.show(env, found))["prompts"]
    assert pair == {"prompt": HOSTILE, "before": "<e3 81>", "after": HOSTILE}
