"""`llmparams log`: the last runs in a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Source
from llmparams_cli.records import origins
from llmparams_cli.render.terminal import Row, columns, table
from llmparams_cli.render.thoughts import barred
from llmparams_cli.text.safe import encodable, one_line, printable
from llmparams_cli.text.width import cut

GAP = 2
WIDE = 110  # columns from which on a table tells model, presets and stop as well
MOST = 16  # columns for one of those
FIRST_WORDS = 80  # characters of prompt and answer in a pipe


def list_runs(env: Environment, runs: Sequence[dict[str, Any]]) -> None:
    """Print a table on a terminal, or lines with tab-separated fields in a pipe."""
    text = _table(env, runs) if env.stdout_is_tty else "".join(map(_line, runs))
    _write(env, text)


def show(env: Environment, receipt: dict[str, Any]) -> None:
    """Print one run: its circumstances, its settings, and all messages."""
    _write(env, "\n".join(_in_full(env, receipt)) + "\n")


def _line(run: dict[str, Any]) -> str:
    presets = ",".join(run["presets"]) or "-"
    fields = (run["id"], run["date"], run["model"], presets, run["stop"])
    words = (run[name][:FIRST_WORDS] for name in ("prompt", "answer"))
    return "\t".join(map(one_line, (*fields, *words))) + "\n"


def _table(env: Environment, runs: Sequence[dict[str, Any]]) -> str:
    """The columns that have little to say are as wide as that; prompt and answer get the rest."""
    if not runs:
        return ""
    wide = columns(env, env.stdout) >= WIDE
    head = ("id", "when", *(("model", "presets", "stop") if wide else ()))
    facts = [_facts(run, wide) for run in runs]
    most = [max(map(len, column)) for column in zip(head, *facts, strict=True)]
    narrow = [min(width, MOST) if place > 1 else width for place, width in enumerate(most)]
    room = columns(env, env.stdout) - sum(narrow) - (len(narrow) + 1) * GAP
    prompt = max(room // 2, 10)
    widths = (*narrow, prompt, prompt)
    rows = [Row((*head, "prompt", "answer"), "bold")]
    for run, known in zip(runs, facts, strict=True):
        cells = (*known, run["prompt"], run["answer"])
        fitting = zip(map(_one_line, cells), widths, strict=True)
        rows.append(Row(tuple(cut(text, width, env.stdout) for text, width in fitting)))
    return table(env, rows, widths, colored=env.wants_color("auto", env.stdout))


def _facts(run: dict[str, Any], wide: bool) -> tuple[str, ...]:
    """What is told of a run beside its prompt and answer: on a narrow terminal, its id and time."""
    first = (run["id"].partition("-")[2], _local(run["date"]))
    presets = ",".join(run["presets"]) or "-"
    return (*first, *map(_one_line, (run["model"], presets, run["stop"]))) if wide else first


def _one_line(text: str) -> str:
    """The text on one line, with single blanks for all white space."""
    return " ".join(printable(text).split())


def _in_full(env: Environment, receipt: dict[str, Any]) -> Iterator[str]:
    usage = receipt["usage"]
    thought = usage.get("reasoning_tokens")
    fields = {
        "id": receipt["id"],
        "when": receipt["date"],
        "model": f"{receipt['model']['name']}, {receipt['model']['path']}",
        "SHA-256": receipt["model"]["sha256"] or "not computed (--receipt FILE does)",
        **_circumstances(receipt),
        "seed": receipt["seed"],
        "tokens": f"{usage.get('prompt_tokens')} + {usage.get('completion_tokens')}"
        + (f" ({thought} thought)" if thought else ""),
        **_dated(receipt),
        "stop": f"{receipt['stop']['reason']} ({receipt['stop']['detail']})",
    }
    for name, value in fields.items():
        yield f"{name:<9}{one_line(str(value))}"
    for name, setting in receipt["parameters"].items():
        origin = origins.from_json(setting["origin"])
        if origin.source is not Source.DEFAULT:
            value = one_line(f"{name} {setting['value']} ({origin})")
            yield f"{'set':<9}{value}"
    for message in receipt["messages"]:
        yield f"\n{message['role']}:\n{printable(message['content'])}"
    if thought := receipt.get("reasoning"):
        yield f"\nthoughts:\n{barred(env, env.stdout, thought)}"
    yield f"\nanswer:\n{printable(receipt['text'])}"


def _dated(receipt: dict[str, Any]) -> dict[str, str]:
    """The date in the prompt, where the chat template wrote one."""
    date = receipt.get("prompt_date")
    return {"date": f"{date} (in the prompt, by the chat template)"} if date else {}


def _circumstances(receipt: dict[str, Any]) -> dict[str, str]:
    """The library and the device, where the backend has any."""
    fields = {}
    if library := receipt.get("library"):
        names = (f"{name} {library[name]}" for name in library if name != "build")
        fields["library"] = ", ".join(names)
    if device := receipt.get("device"):
        fields["device"] = f"{device.get('processor')}, {device.get('threads')} threads"
    return fields


def _local(date: str) -> str:
    """The date in the user's time zone, or the text itself if it is not a date."""
    try:
        # Before Python 3.11, fromisoformat does not read Z.
        moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
    except ValueError:
        return date
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _write(env: Environment, text: str) -> None:
    env.stdout.write(encodable(text, env.stdout))
    env.stdout.flush()
