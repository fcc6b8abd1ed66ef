"""`llmparams replay`: is it the same answer, and if not, where and why do they diverge?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.render.styles import BOLD, GREEN, YELLOW, styled
from llmparams_cli.render.thoughts import barred
from llmparams_cli.text.safe import encodable, one_line, printable
from llmparams_cli.text.shorten import ending

CONTEXT = 61  # characters that are shown before the first difference


def show(env: Environment, report: dict[str, Any]) -> None:
    """Print a replay; `report` is its JSON object."""
    colored = env.wants_color("auto", env.stdout)
    verdict, *rest = _lines(env, report)
    verdict = styled(verdict, f"{BOLD};{GREEN if report['identical'] else YELLOW}", colored)
    text = "\n".join([verdict, *rest]) + "\n"
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()


def _lines(env: Environment, report: dict[str, Any]) -> Iterator[str]:
    yield _verdict(report)
    if parting := report["parting"]:
        yield _field("after", _tail(parting["before"]))
        yield _field("recorded", _step(parting["recorded"]))
        yield _field("replayed", _step(parting["replayed"]))
    word = "although" if report["identical"] else "why"
    for place, reason in enumerate(report["reasons"]):
        yield _field("" if place else word, one_line(reason))
    if not report["identical"]:
        for name in ("recorded", "replayed"):
            stop = one_line(report["stop"][name]["reason"])
            yield f"\n{name}, up to {stop}:"
            if thought := report["reasoning"][name]:
                yield barred(env, env.stdout, thought) + "\n"
            yield printable(report["text"][name])


def _verdict(report: dict[str, Any]) -> str:
    recorded, replayed = report["tokens"]["recorded"], report["tokens"]["replayed"]
    if report["identical"]:
        stop = one_line(report["stop"]["recorded"]["reason"])
        same = "" if report["reasons"] else "; the same model file, library and machine"
        return f"identical: {recorded} tokens up to {stop}{same}"
    if parting := report["parting"]:
        counts = f"{recorded} recorded, {replayed} replayed"
        among = ", in its thoughts" if parting["is_thought"] else ""
        return f"different from token {parting['index'] + 1} on{among} ({counts})"
    return f"different: the same {recorded} tokens, but another text"


def _field(name: str, text: str) -> str:
    return f"  {name:<9} {text}".rstrip()


def _tail(text: str) -> str:
    if not text:
        return "the prompt"
    return f'"{one_line(ending(text, CONTEXT))}"'


def _step(step: dict[str, Any]) -> str:
    """A token with its probabilities: in the replay, and in the receipt."""
    if step["id"] is None:
        return f"the end: {one_line(step['text'])}"
    parts = [f'"{one_line(step["text"])}"']
    if step["logprob"] is not None:
        parts.append(f"probability {_percent(step['logprob'])} now")
    if step.get("recorded_logprob") is not None:
        parts.append(f"{_percent(step['recorded_logprob'])} then")
    return ", ".join(parts)


def _percent(logprob: float) -> str:
    return f"{math.exp(min(logprob, 0.0)):.2%}"
