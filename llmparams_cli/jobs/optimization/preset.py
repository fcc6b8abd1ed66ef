"""The winner as a preset, whose comments say how it was found and what proves it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from llmparams_cli.analysis.optimization import Outcome, Scale, amount, verdict
from llmparams_cli.env import Environment
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs import preset_files
from llmparams_cli.jobs.optimization.search import Search
from llmparams_cli.jobs.optimization.space import PRESET
from llmparams_cli.params.settings import Source, label, resolve
from llmparams_cli.presets.cascade import from_flags
from llmparams_cli.presets.catalog import chosen, chosen_for_thinking
from llmparams_cli.presets.document import text_of
from llmparams_cli.presets.find import SUFFIXES
from llmparams_cli.presets.write import Preset

FOUND = "found by optimize"


def save(
    env: Environment,
    name: str,
    search: Search,
    outcome: Outcome,
    presets: Sequence[str],
    flags: Mapping[str, Any],
    command: str,
    *,
    force: bool,
) -> Path:
    """Write the preset of the best trial."""
    point = outcome.best.values
    given = from_flags(flags, env)
    found = search.candidates.assignments(point)
    settings = resolve([*given.assignments, *found])
    parents = [*presets, str(point[PRESET])] if PRESET in point else [*presets]
    system = search.candidates.of(outcome.best).prepared.system
    is_own = system is not None and system.origin.source is Source.FLAG
    preset = Preset(
        description=f"The best of {len(outcome.trials)} trials {search.way.tried_on}.",
        extends=[_from_anywhere(parent, env) for parent in parents],
        model=text_of(given.model),
        system=text_of(system) if is_own else None,
        parameters=chosen(settings),
        thinking=chosen_for_thinking(settings),
        comments={label(each.name, each.when_thinking): FOUND for each in found},
        notes=evidence(env, search, outcome, command),
    )
    return preset_files.save(env, name, preset, force=force)


def evidence(env: Environment, search: Search, outcome: Outcome, command: str) -> list[str]:
    """How the settings were found and what proves them, for whoever reads the file."""
    way = search.way
    model = search.candidates.default.prepared.model
    hashed = f" (SHA-256 {search.model_id})" if search.model_id else ""
    tried = _scores(outcome.best.score, outcome.default.score, way.scale)
    lines = [
        command,
        f"{env.began:%Y-%m-%d}, model {model.known_as or model.name}{hashed}",
        f"Searched: {len(outcome.trials)} trials {way.tried_on}: {tried}.",
    ]
    if meeting := outcome.meeting:
        proved = _scores(fmean(meeting.winner), fmean(meeting.default), way.scale)
        lines.append(f"Proved {way.proved_on}: {proved};")
    return [*lines, f"{verdict(outcome, way.scale)}."]


def _scores(winner: float, default: float, scale: Scale) -> str:
    return f"{amount(winner, scale)}, the default {amount(default, scale)}"


def _from_anywhere(preset: str, env: Environment) -> str:
    """A preset's name; its path from any directory, if it is given by path."""
    is_path = os.sep in preset or preset.endswith(SUFFIXES)
    return str(resolve_path(preset, env.directory)) if is_path else preset
