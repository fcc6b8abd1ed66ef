"""The data of the page for `explain`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llmparams_cli.analysis.explanation import Explanation
from llmparams_cli.render.html.draws import Recorded, answer, pieces, short
from llmparams_cli.render.summary import stop_text
from llmparams_cli.render.thoughts import said
from llmparams_cli.trace import WhatIf


def document(explanation: Explanation, recorded: Recorded, start: int) -> dict[str, Any]:
    """All data of the page."""
    started, finished = explanation.started, explanation.finished
    return {
        "start": start,
        "model": started.model.name,
        "prompt": started.prompt,
        "text": said(finished.text, finished.reasoning),
        "thoughts": [explanation.is_thought(token) for token in explanation.tokens],
        "seed": started.seed,
        "stop": stop_text(finished.stop),
        "settings": _settings(explanation),
        "pieces": pieces([explanation]),
        **answer(explanation, recorded),
        "ruled": explanation.ruled and asdict(explanation.ruled),
        "stop_sequences": [asdict(stop) for stop in explanation.stops],
        "what_if": [_what_if(what_if) for what_if in explanation.what_if],
    }


def _settings(explanation: Explanation) -> list[dict[str, Any]]:
    """Every parameter; `changed` are the draws it changed, if its effect was measured."""
    changed = {each.setting.name: list(each.changed) for each in explanation.effects}
    return [
        {
            "name": setting.name,
            "value": setting.param.kind.show(setting.value),
            "origin": str(setting.origin),
            "is_default": setting.is_default,
            "changed": changed.get(setting.name),
        }
        for setting in explanation.settings.both
    ]


def _what_if(what_if: WhatIf) -> dict[str, Any]:
    shown = asdict(what_if)
    shown["changes"] = list(what_if.changes)
    if what_if.text is not None:
        shown["text"] = said(what_if.text, what_if.reasoning)
    shown["stop"] = what_if.stop and stop_text(what_if.stop)
    return {
        key: short(value) if isinstance(value, float) else value for key, value in shown.items()
    }
