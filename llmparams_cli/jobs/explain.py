"""One answer and everything about it: generated once, drawn again as often as needed."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from llmparams_cli.analysis.explanation import Explanation, Fit, NearStop, TokenView, WhatIf
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Origin, Settings, Source
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.params.table import PARAMS, named
from llmparams_cli.presets import values
from llmparams_cli.presets.cascade import layer
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.find import find
from llmparams_cli.protocol import Finished, Request, Started, Stop, StopReason

if TYPE_CHECKING:
    from llmparams_cli.backends.llama.decoding.generate import Conversation, Engine
    from llmparams_cli.backends.llama.decoding.recording import Recording
    from llmparams_cli.backends.llama.tracing.explain import Replay

FLAG = Origin(Source.FLAG, "--what-if")
TOP = 8  # candidates of every draw, at least
COVERAGE = 0.999  # of the probability, in the candidates that a page computes with
COMMA = re.compile(r",(?=\s*(-*[a-zA-Z][\w-]*)\s*=)")  # and what may be a parameter's name
PAIR = re.compile(r"\s*-*[a-zA-Z][\w-]*\s*=")
Progress = Callable[[str, float], None]
Watched = Callable[[str], Callable[[float], None]]


@dataclass(frozen=True)
class Other:
    """Settings to compare with, what makes them others, in words, and the text that asked."""

    settings: Settings
    changes: tuple[str, ...]
    name: str


def explain(
    env: Environment,
    prepared: Prepared,
    request: Request,
    others: Sequence[Other],
    *,
    top: int,
    coverage: float = 0.0,
    go_on: bool,
    progress: Progress,
) -> Explanation:
    """Generate, then look at it from all sides. `go_on` decodes the other branches too."""
    from llmparams_cli.backends.llama.decoding.generate import Engine
    from llmparams_cli.backends.llama.sampling import grammar
    from llmparams_cli.interrupt import Interrupt

    for other in others:
        grammar.refuse_schema(other.settings, env.note)
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt(request.settings["time_limit"]))
        engine = stack.enter_context(
            Engine(env, prepared.model, request.settings, interrupt, progress)
        )
        recording = stack.enter_context(engine.recording())
        conversation = stack.enter_context(closing(engine.conversation()))
        for event in conversation.ask(request, recording):
            if isinstance(event, Started):
                started = event
            elif isinstance(event, Finished):
                finished = event
        if finished.stop.reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
        found = looked_at(engine, recording, request.settings, started, finished, top, coverage)
        replay = _replay(engine, recording, request.settings, started)
        open_end = conversation if go_on else None
        what_ifs = _what_ifs(replay, others, finished.stop, _watched(engine), open_end)
        return replace(found, what_if=what_ifs)


def looked_at(
    engine: Engine,
    recording: Recording,
    settings: Settings,
    started: Started,
    finished: Finished,
    top: int,
    coverage: float = 0.0,
) -> Explanation:
    """A recorded answer from all sides, but for other settings. KeyboardInterrupt on Ctrl-C."""
    replay, watched = _replay(engine, recording, settings, started), _watched(engine)
    return Explanation(
        settings,
        started,
        finished,
        tuple(replay.views(top, watched("looking"), coverage)),
        replay.effects(watched("comparing")),
        near_stops(replay.texts(), settings["stop"], finished.stop),
    )


def with_effects(
    engine: Engine, recording: Recording, request: Request, started: Started, finished: Finished
) -> Finished:
    """The end of an answer, with what each setting changed in it; not of one that Ctrl-C ended."""
    if finished.stop.reason is StopReason.INTERRUPTED:
        return finished
    replay = _replay(engine, recording, request.settings, started)
    return replace(finished, effects=replay.effects(_watched(engine)("comparing")))


def draws(
    engine: Engine, recording: Recording, settings: Settings, started: Started, finished: Finished
) -> Explanation:
    """Every draw of an answer, for a page; not what other settings would have done."""
    replay = _replay(engine, recording, settings, started)
    views = tuple(replay.views(TOP, _watched(engine)("looking"), COVERAGE))
    return Explanation(settings, started, finished, views)


def _watched(engine: Engine) -> Watched:
    """For each kind of work a progress that raises KeyboardInterrupt after Ctrl-C."""

    def watched(what: str) -> Callable[[float], None]:
        def report(done: float) -> None:
            engine.interrupt.check()
            engine.progress(what, done)

        return report

    return watched


def _replay(engine: Engine, recording: Recording, settings: Settings, started: Started) -> Replay:
    from llmparams_cli.backends.llama.tracing.explain import Replay

    return Replay(
        engine.model,
        recording,
        settings,
        prompt=started.tokens,
        seed=started.seed,
        context=started.context,
    )


def _what_ifs(
    replay: Replay,
    others: Sequence[Other],
    end: Stop,
    watched: Watched,
    conversation: Conversation | None,
) -> tuple[WhatIf, ...]:
    """Where each of the others parts from the run; with a conversation its whole text too."""
    with ExitStack() as stack:
        alternatives = [
            stack.enter_context(closing(replay.alternative(each.settings, each.name)))
            for each in others
        ]
        found = [
            replay.what_if(alternative, end, other.changes, watched("comparing"))
            for alternative, other in zip(alternatives, others, strict=True)
        ]
        if conversation is not None:
            # The latest parting first: so the context keeps what it holds of the run, bit for
            # bit as a real run would have decoded it.
            latest = sorted(range(len(found)), key=lambda i: -(found[i].number or sys.maxsize))
            for i in latest:
                found[i] = alternatives[i].go_on(
                    conversation, replay.prompt, found[i], watched("continuing")
                )
        return tuple(found)


def other_settings(env: Environment, settings: Settings, texts: Sequence[str]) -> list[Other]:
    """Read the texts of --what-if: NAME=VALUE, several with commas between, or a preset before
    them.
    """
    return [_other(env, settings, text) for text in texts]


def _other(env: Environment, settings: Settings, text: str) -> Other:
    changes = []
    preset, pairs = _split(text)
    if preset:
        settings = _with_preset(env, settings, preset)
        changes.append(f"preset {preset}")
    given = values.assignments(map(_pair, pairs), env.directory, FLAG)
    changes += [f"{each.name} {PARAMS[each.name].kind.show(each.value)}" for each in given]
    return Other(changed(settings, given), tuple(changes), text)


def _pair(text: str) -> tuple[Param, str]:
    name, value = values.pair(text)
    param = named(name)
    if param is None:
        raise UsageError(f"--what-if: unknown parameter {name!r}{values.suggestion(name)}")
    if _is_fixed(param):
        raise UsageError(
            f"--what-if {param.name}: the draws are made again, the model is not run again",
            "run explain again for another value",
        )
    return param, value or ""


def _split(text: str) -> tuple[str, list[str]]:
    """A preset ('' for none), and the texts NAME=VALUE. A comma that is not followed by the
    NAME= of a parameter belongs to a value.
    """
    commas = [comma for comma in COMMA.finditer(text) if named(comma[1])]
    starts = [0, *(comma.end() for comma in commas)]
    ends = [*(comma.start() for comma in commas), len(text)]
    parts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    preset = "" if PAIR.match(parts[0]) else parts.pop(0)
    return preset, parts


def _with_preset(env: Environment, settings: Settings, preset: str) -> Settings:
    """The settings with all of the preset's that the draws depend on; notes the others."""
    given = gathered(layer(find(preset, env), Source.PRESET, env))
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
    """Has it done its work before the draw, or beside it? A replay cannot change it then."""
    return param.scope in (Scope.LOAD, Scope.CONTEXT) or param.name == "time_limit"


def near_stops(texts: Sequence[str], stops: Sequence[str], end: Stop) -> tuple[NearStop, ...]:
    """How near each stop sequence came to ending the answer; `texts` are those of the draws."""
    matched = end.detail if end.reason is StopReason.STOP_SEQUENCE else None
    drawn = "".join(texts)
    ends = list(accumulate(map(len, texts)))
    near = []
    for stop in stops:
        length = next((n for n in range(len(stop), 0, -1) if stop[:n] in drawn), 0)
        at = drawn.find(stop[:length]) + length
        number = 1 + bisect_left(ends, at) if length else None
        near.append(NearStop(stop, stop[:length], at, number, stop == matched))
    return tuple(near)


def fit(
    env: Environment, prepared: Prepared, request: Request, text: str, progress: Progress
) -> Fit:
    """Force `text` as the answer, and measure which settings admit it."""
    from llmparams_cli.backends.llama.decoding.forced import force
    from llmparams_cli.backends.llama.decoding.generate import Engine
    from llmparams_cli.backends.llama.tracing.fit import Judge, admitted, removals
    from llmparams_cli.interrupt import Interrupt

    settings = request.settings
    with (
        Interrupt(settings["time_limit"]) as interrupt,
        Engine(env, prepared.model, settings, interrupt, progress) as engine,
        engine.recording() as recording,
    ):
        prompt, size = force(engine, request, text, recording)
        with closing(Judge(engine.model, settings, prompt, size)) as judge:
            removed = removals(recording, judge, _watched(engine)("looking"))
            return admitted(engine.model, recording, removed)


def token_at(explanation: Explanation, number: int) -> TokenView:
    """The draw with this number, or UsageError."""
    count = len(explanation.tokens)
    if not 1 <= number <= count:
        raise UsageError(f"--at {number}: there are {count} draws", f"1 to {count}")
    return explanation.tokens[number - 1]
