"""An explanation as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.constraints.checking.validity import verdict
from llmparams_cli.env import Environment
from llmparams_cli.records.document import said, stop_object
from llmparams_cli.render.json_output import effects_object, parameters_object, write_json
from llmparams_cli.text.safe import spelled
from llmparams_cli.trace import TokenView


def show_json(env: Environment, explanation: Explanation) -> None:
    """Print everything: every candidate at every stage of every draw."""
    finished, started = explanation.finished, explanation.started
    document = {
        "prompt": started.prompt,
        **said(finished),
        "seed": started.seed,
        "stop": stop_object(finished.stop),
        **verdict(finished.text, explanation.settings),
        "parameters": parameters_object(explanation.settings),
        "tokens": [
            _token_object(token, is_thought=explanation.is_thought(token))
            for token in explanation.tokens
        ],
        **({"grammar": asdict(ruled)} if (ruled := explanation.ruled) else {}),
        "effects": effects_object(explanation.effects),
        "stop_sequences": [asdict(stop) for stop in explanation.stops],
        "what_if": [asdict(what_if) for what_if in explanation.what_if],
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _token_object(token: TokenView, *, is_thought: bool) -> dict[str, Any]:
    ruling = token.grammar
    return {
        "number": token.number,
        "id": token.id,
        "text": spelled(token.text),
        "is_end": token.is_end,
        **({"is_thought": True} if is_thought else {}),
        "end": {"probability": token.end[0], "rank": token.end[1]},
        "candidates": [{"id": id, "text": text} for id, text in token.candidates],
        "stages": [
            {
                "name": stage.name,
                "kept": stage.kept,
                "cut": stage.cut,
                "entropy": stage.entropy,
                "rank": stage.rank,
                "logits": list(stage.logits),
                "probabilities": stage.probabilities(),
            }
            for stage in token.stages
        ],
        "window": token.window,
        "penalties": [asdict(entry) for entry in token.penalised],
        **({"grammar": {**asdict(ruling), "removes": sorted(ruling.removes)}} if ruling else {}),
    }
