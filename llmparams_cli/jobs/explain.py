"""Explains one answer: generated once, drawn again from its logits as often as needed."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import accumulate

from llmparams_cli.analysis.explanation import Explanation, NearStop
from llmparams_cli.backends.open import opened
from llmparams_cli.constraints import wanted
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import answer, scored
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Origin, Settings, Source
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.catalog import alone
from llmparams_cli.protocol import Finished, Passage, Progress, Request, Started, Stop, StopReason
from llmparams_cli.trace import Counterfactual, Fit, Report, TokenView, Trace

FLAG = Origin(Source.FLAG, "--what-if")
TOP = 8  # candidates of every draw, at least
COVERAGE = 0.999  # of the probability, in the candidates that a page computes with
# The group is what may be a parameter's name; `_split` looks it up.
COMMA = re.compile(r",(?=\s*(-*[a-zA-Z][\w.-]*)\s*=)")
PAIR = re.compile(r"\s*-*[a-zA-Z][\w.-]*\s*=")
Watched = Callable[[str], Report]


def explain(
    env: Environment,
    prepared: Prepared,
    request: Request,
    others: Sequence[Counterfactual],
    *,
    top: int,
    coverage: float = 0.0,
    go_on: bool,
    progress: Progress,
) -> Explanation:
    """Generate an answer and explain it; with `go_on`, decode the texts of the what-ifs too."""
    # For its errors: a faulty grammar must fail before the model is loaded.
    for other in others:
        wanted.from_settings(other.settings, env.note)
    with (
        Control() as control,
        opened(env, prepared.model, request.settings, control, progress) as backend,
    ):
        watched = watching(control, progress)
        started, finished = answer(backend, replace(request, record=True))
        with closing(recorded(finished)) as trace:
            found = looked_at(request.settings, started, finished, top, watched, coverage)
            continuing = watched("continuing") if go_on else None
            what_ifs = trace.what_if(others, finished.stop, watched("comparing"), continuing)
            return replace(found, what_if=what_ifs)


def looked_at(
    settings: Settings,
    started: Started,
    finished: Finished,
    top: int,
    watched: Watched,
    coverage: float = 0.0,
) -> Explanation:
    """Everything about a recorded answer except what other settings would have made of it."""
    trace = recorded(finished)
    thoughts = [token.is_thought for token in finished.tokens]
    return Explanation(
        settings,
        started,
        finished,
        tuple(trace.views(top, watched("looking"), coverage)),
        trace.effects(watched("comparing")),
        near_stops(trace.texts(), thoughts, settings["stop"], finished.stop),
    )


def with_effects(finished: Finished, watched: Watched) -> Finished:
    """The end of a recorded answer, with what each setting changed in it instead of the trace;
    without that if Ctrl-C ended it.
    """
    with closing(recorded(finished)) as trace:
        if finished.stop.reason is StopReason.INTERRUPTED:
            return finished
        return replace(finished, effects=trace.effects(watched("comparing")), trace=None)


def draws(
    settings: Settings, started: Started, finished: Finished, watched: Watched
) -> Explanation:
    """Every draw of a recorded answer, for a page; neither effects of settings nor what-ifs."""
    views = tuple(recorded(finished).views(TOP, watched("looking"), COVERAGE))
    return Explanation(settings, started, finished, views)


def recorded(finished: Finished) -> Trace:
    """The trace of an answer that was to be recorded. Raises UsageError if the backend cannot."""
    if finished.trace is None:
        raise UsageError("this backend records no draws", "explain needs a model in this process")
    return finished.trace


def watching(control: Control, progress: Progress) -> Watched:
    """Makes a progress callback for each kind of work; it raises KeyboardInterrupt after Ctrl-C."""

    def watched(what: str) -> Report:
        def report(done: float) -> None:
            control.check()
            progress(what, done)

        return report

    return watched


def other_settings(
    env: Environment, settings: Settings, texts: Sequence[str]
) -> list[Counterfactual]:
    """Read the texts of --what-if: NAME=VALUE pairs separated by commas, a preset, or a preset and
    then pairs.
    """
    return [_other(env, settings, text) for text in texts]


def _other(env: Environment, settings: Settings, text: str) -> Counterfactual:
    changes = []
    preset, pairs = _split(text)
    if preset:
        settings = _with_preset(env, settings, preset)
        changes.append(f"preset {preset}")
    given = values.assignments(pairs, env.directory, FLAG, refuse=_refuse_fixed)
    changes += [f"{each.label} {PARAMS[each.name].kind.show(each.value)}" for each in given]
    return Counterfactual(changed(settings, given), tuple(changes), text)


def _refuse_fixed(param: Param) -> None:
    if _is_fixed(param):
        raise UsageError(
            f"--what-if {param.name}: the draws are made again, the model is not run again",
            "run explain again for another value",
        )


def _split(text: str) -> tuple[str, list[str]]:
    """A preset ('' for none), and the texts NAME=VALUE. A comma belongs to a value unless the name
    of a parameter and = follow it.
    """
    commas = [comma for comma in COMMA.finditer(text) if values.known(comma[1])]
    starts = [0, *(comma.end() for comma in commas)]
    ends = [*(comma.start() for comma in commas), len(text)]
    parts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    preset = "" if PAIR.match(parts[0]) else parts.pop(0)
    return preset, parts


def _with_preset(env: Environment, settings: Settings, preset: str) -> Settings:
    """The settings with those values of the preset that draws depend on; prints a note about the
    others.
    """
    given = alone(preset, env)
    texts = {"model": given.model, "system text": given.system, "prompt": given.prompt}
    left_out = [name for name, text in texts.items() if text is not None]
    for assignment in given.assignments:
        if not _is_fixed(PARAMS[assignment.name]):
            settings = settings.but(assignment)
        elif assignment.value != settings[assignment.name]:
            left_out.append(assignment.name)
    if left_out:
        env.note(
            f"--what-if {preset}: the draws are made again, the model is not run again: without "
            f"its {', '.join(dict.fromkeys(left_out))}"
        )
    return settings


def _is_fixed(param: Param) -> bool:
    """Does it act before the draw, or beside it? Then drawing again cannot show another value."""
    before = (Scope.LOAD, Scope.CONTEXT, Scope.DRAFTING, Scope.PROMPT)
    return param.scope in before or param.name == "time_limit"


def near_stops(
    texts: Sequence[str], thoughts: Sequence[bool], stops: Sequence[str], end: Stop
) -> tuple[NearStop, ...]:
    """How near each stop sequence came to ending the answer; `texts` are those of the draws, and
    `thoughts` tells which of them are no part of it.
    """
    matched = end.detail if end.reason is StopReason.STOP_SEQUENCE else None
    thoughts = [*thoughts, *[False] * (len(texts) - len(thoughts))]  # the end is drawn, too
    said = ["" if thought else text for text, thought in zip(texts, thoughts, strict=True)]
    near = []
    for stop in stops:
        # The closing mark of thoughts may be one.
        counted = said if stop != matched or stop in "".join(said) else texts
        drawn, ends = "".join(counted), list(accumulate(map(len, counted)))
        # The longest beginning of the stop sequence that occurs anywhere in the text.
        length = next((n for n in range(len(stop), 0, -1) if stop[:n] in drawn), 0)
        at = drawn.find(stop[:length]) + length
        number = 1 + bisect_left(ends, at) if length else None
        near.append(NearStop(stop, stop[:length], at, number, stop == matched))
    return tuple(near)


def fit(
    env: Environment, prepared: Prepared, request: Request, text: str, progress: Progress
) -> Fit:
    """Score `text` as the answer (teacher forcing), and measure which settings admit it."""
    with (
        Control() as control,
        opened(env, prepared.model, request.settings, control, progress) as backend,
    ):
        result = scored(backend, Passage(request, text))
        with closing(result.trace) as trace:
            if result.stop:
                whole = len(backend.encode(text, special=request.special) or ())
                env.note(
                    f"the time limit ({result.stop.detail}) was reached: only {len(trace)} of "
                    f"{whole} tokens of the target are measured"
                )
            if not len(trace):
                raise UsageError("no token of the target was read in time", "a larger --time-limit")
            return trace.fit(watching(control, progress)("looking"))


def token_at(explanation: Explanation, number: int) -> TokenView:
    """The draw with this number, from 1. Raises UsageError if there is none."""
    count = len(explanation.tokens)
    if not 1 <= number <= count:
        raise UsageError(f"--at {number}: there are {count} draws", f"1 to {count}")
    return explanation.tokens[number - 1]
