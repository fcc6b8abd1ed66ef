"""One answer and everything about it: generated once, drawn again as often as needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.explanation import Explanation, Fit, NearStop, TokenView, WhatIf
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.cascade import layer
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.find import find
from llmparams_cli.protocol import Finished, Request, Started, Stop, StopReason

if TYPE_CHECKING:
    from llmparams_cli.engine.explain import Replay
    from llmparams_cli.engine.generate import Conversation, Engine
    from llmparams_cli.engine.recording import Recording

FLAG = Origin(Source.FLAG, "--what-if")
TOP = 8  # candidates of every draw, at least
COVERAGE = 0.999  # of the probability, in the candidates that a page computes with
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Other:
    """Settings to compare with, and what makes them others, in words."""

    settings: Settings
    changes: tuple[str, ...]


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
    from llmparams_cli.engine.generate import Engine
    from llmparams_cli.engine.interrupt import Interrupt

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
        replay = _replay(engine, recording, request.settings, started)
        return Explanation(
            request.settings,
            started,
            finished,
            tuple(replay.views(top, lambda done: progress("looking", done), coverage)),
            replay.effects(lambda done: progress("comparing", done)),
            near_stops(finished.text, request.settings["stop"], finished.stop),
            tuple(
                _what_if(replay, other, request, started, conversation if go_on else None)
                for other in others
            ),
        )


def with_effects(
    engine: Engine, recording: Recording, request: Request, started: Started, finished: Finished
) -> Finished:
    """The end of an answer, with what each setting changed in it."""
    replay = _replay(engine, recording, request.settings, started)
    effects = replay.effects(lambda done: engine.progress("comparing", done))
    return replace(finished, effects=effects)


def draws(
    engine: Engine, recording: Recording, settings: Settings, started: Started, finished: Finished
) -> Explanation:
    """Every draw of an answer, for a page; not what other settings would have done."""
    replay = _replay(engine, recording, settings, started)
    views = replay.views(TOP, lambda done: engine.progress("looking", done), COVERAGE)
    return Explanation(settings, started, finished, tuple(views))


def _replay(engine: Engine, recording: Recording, settings: Settings, started: Started) -> Replay:
    from llmparams_cli.engine.explain import Replay

    return Replay(
        engine.model,
        recording,
        settings,
        prompt=started.tokens,
        seed=started.seed,
        context=started.context,
    )


def _what_if(
    replay: Replay,
    other: Other,
    request: Request,
    started: Started,
    conversation: Conversation | None,
) -> WhatIf:
    found = replay.what_if(other.settings, other.changes)
    if found.number is None or conversation is None:
        return found
    sampler, tokens = replay.branch(other.settings, found.number)
    with closing(sampler):
        text = found.same_text + found.instead
        left = other.settings["max_tokens"] - found.number
        if left and found.instead:
            shorter = other.settings.but(Assignment("max_tokens", max(left, -1), FLAG))
            events = conversation.go_on(
                replace(request, settings=shorter), [*started.tokens, *tokens], sampler
            )
            *_, finished = events
            assert isinstance(finished, Finished)
            text += finished.text
    return replace(found, text=text)


def other_settings(env: Environment, settings: Settings, texts: Sequence[str]) -> list[Other]:
    """Read the texts of --what-if: NAME=VALUE, several with commas between, or a preset."""
    return [_other(env, settings, text) for text in texts]


def _other(env: Environment, settings: Settings, text: str) -> Other:
    changes = []
    if "=" not in text:
        documents = layer(find(text, env), Source.PRESET, env)
        for assignment in gathered(documents).assignments:
            settings = settings.but(assignment)
        return Other(settings, (f"preset {text}",))
    name, _, value = text.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    if name not in PARAMS:
        raise UsageError(f"--what-if: unknown parameter {name!r}{values.suggestion(name)}")
    param = PARAMS[name]
    try:
        checked = values.from_text(param, value, env.directory)
    except ValueError as error:
        raise UsageError(f"--what-if {name}: {error}", values.see(param)) from error
    changes.append(f"{name} {param.kind.show(checked)}")
    return Other(settings.but(Assignment(name, checked, FLAG)), tuple(changes))


def near_stops(text: str, stops: Sequence[str], end: Stop) -> tuple[NearStop, ...]:
    """How near each stop sequence came to ending the answer."""
    matched = end.detail if end.reason is StopReason.STOP_SEQUENCE else None
    near = []
    for stop in stops:
        if stop == matched:
            near.append(NearStop(stop, stop, len(text) + len(stop), True))
            continue
        length = next((n for n in range(len(stop) - 1, 0, -1) if stop[:n] in text), 0)
        at = text.find(stop[:length]) + length if length else 0
        near.append(NearStop(stop, stop[:length], at))
    return tuple(near)


def fit(
    env: Environment, prepared: Prepared, request: Request, text: str, progress: Progress
) -> Fit:
    """Force `text` as the answer, and measure which settings admit it."""
    from llmparams_cli.engine.fit import Judge, admitted, removals
    from llmparams_cli.engine.forced import force
    from llmparams_cli.engine.generate import Engine
    from llmparams_cli.engine.interrupt import Interrupt

    settings = request.settings
    with (
        Interrupt(settings["time_limit"]) as interrupt,
        Engine(env, prepared.model, settings, interrupt, progress) as engine,
        engine.recording() as recording,
    ):
        prompt, size = force(engine, request, text, recording)
        with closing(Judge(engine.model, settings, prompt, size)) as judge:
            removed = removals(recording, judge, lambda done: progress("looking", done))
            return admitted(engine.model, recording, removed)


def token_at(explanation: Explanation, number: int) -> TokenView:
    """The draw with this number, or UsageError."""
    count = len(explanation.tokens)
    if not 1 <= number <= count:
        raise UsageError(f"--at {number}: there are {count} draws", f"1 to {count}")
    return explanation.tokens[number - 1]
