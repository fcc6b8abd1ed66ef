"""Says which model answers where none was named, and what the built-in one is not for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.prompt import is_document
from llmparams_cli.models.resolve import pulled_names
from llmparams_cli.params.settings import Source

MEANT_FOR = "for stories, parameters and tests"
# Instructions for work on a given text, as presets and prompts word them.
TASK = re.compile(r"\b(summar|extract|translat|classif|rewrit|proofread)", re.IGNORECASE)
MOST_NAMED = 4


def note_model(
    env: Environment,
    prepared: Prepared,
    text: str = "",
    *,
    argument: str | None = None,
    files: Sequence[str] | None = None,
) -> None:
    """Print at most one line about the model, and one about what a llmparams.yaml brings. `text` is
    the whole prompt; `argument` and `files` are what the command line says of it.
    """
    _note_project(env, prepared)
    origin = prepared.model_origin
    is_unnamed = origin.source in (Source.DEFAULT, Source.CONFIG)
    if not prepared.model.is_builtin:
        if is_unnamed:
            name = prepared.model.known_as or prepared.model.name
            env.note(f"no --model given: using {name} ({origin.place})")
        return
    warns = is_document(argument, files, text) or _is_task(prepared, text)
    if is_unnamed:
        reason, cure = _reason(env)
        limit = ", which is not to be trusted with documents" if warns else ""
        rest = cure if warns or reason else MEANT_FOR
        env.note(f"no --model given{reason}: using the small built-in model{limit} ({rest})")
    elif warns:
        env.note(f"the built-in model is not to be trusted with documents ({_reason(env)[1]})")


def _note_project(env: Environment, prepared: Prepared) -> None:
    """Say once what a llmparams.yaml, which may be somebody else's, brings beside parameters."""
    given = {"model": prepared.model_origin}
    if prepared.system:
        given["system text"] = prepared.system.origin
    found = {name: o for name, o in given.items() if o.source is Source.PROJECT}
    if found:
        names, file = " and ".join(found), next(iter(found.values())).file
        env.note(f"the {names} come{'s' * (len(found) == 1)} from {file}")


def _reason(env: Environment) -> tuple[str, str]:
    """Why none of the pulled models is used, and how to get a real one."""
    there = pulled_names(env)
    if not there:
        return "", f"{APP} models pull smollm2 brings a real one"
    if len(there) == 1:
        return "", f"--model {there[0]} is a real one"
    more = ", …" if len(there) > MOST_NAMED else ""
    names = f"{', '.join(there[:MOST_NAMED])}{more}"
    return f", and there are {names}", f"{APP} models default NAME chooses one of them"


def _is_task(prepared: Prepared, text: str) -> bool:
    """Do the messages ask for work on a given text?"""
    messages = prepared.messages(text)
    return any(TASK.search(message.content) for message in messages)
