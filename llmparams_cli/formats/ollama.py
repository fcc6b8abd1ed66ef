"""Ollama: the Modelfile, one instruction per line; quoted values may span lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmparams_cli.formats.common import (
    Exported,
    Format,
    Imported,
    Loss,
    elsewhere,
    hub_name,
    problem,
    stem,
)
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import numbered
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.nodes import Mark, Node
from llmparams_cli.text.safe import one_line

PROGRAM = "Ollama"
INSTRUCTIONS = ("from", "parameter", "system", "message", "template", "adapter", "license")
# Of newer versions: recognised, and reported as lost.
LATER = ("requires", "renderer", "parser", "capability", "draft")
INSTRUCTION = re.compile(rf"({'|'.join(INSTRUCTIONS + LATER)})[ \t]+(\S.*)", re.IGNORECASE)

# `format` (JSON Schema) exists only in requests; an adapter has its own instruction.
KEYS = {k: v for k, v in elsewhere("ollama").items() if k not in ("json_schema", "lora")}
OLDER = {
    "mlock": "use_mlock",
    "rope_freq_base": "rope_frequency_base",
    "rope_freq_scale": "rope_frequency_scale",
}
INERT = {
    "tfs_z": ("1", "1.0"),
    "num_keep": ("0", "4"),
    "penalize_newline": ("true", "false"),
    "low_vram": ("false",),
    "f16_kv": ("true",),
    "numa": ("false",),
}
# Ollama's defaults, where they differ from this program's.
DEFAULTS = {"top_p": 0.9, "min_p": 0.0}

PROJECTOR = "mmproj"  # in the name of a file that lets a model see

LOST = {
    "message": "a preset has no messages",
    "template": "the model file has its own template",
    "license": "presets have none",
    "requires": "it is a version of Ollama",
    "renderer": "the model file has its own template",
    "parser": "the model file has its own template",
    "capability": "the model file says what it can do",
    "draft": "this program does not draft",
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    draft = Draft(place, PROGRAM, textual=True)
    models: list[str] = []
    system: str | None = None
    entries: dict[str, Node] = {}
    stops: list[Node] = []
    adapters: list[str] = []
    for mark, instruction, name, value in _instructions(text, place):
        if instruction == "parameter" and name == "stop":
            stops.append(Node(mark, value))
        elif instruction == "parameter":
            if name in entries:
                draft.lose(name, "it is given again below, and Ollama takes the last")
            entries[name] = Node(mark, value)
        elif instruction == "from":
            models.append(value)
        elif instruction == "system":
            if system is not None:
                draft.lose("SYSTEM", "it is given again below")
            system = value
        elif instruction == "adapter" and PROJECTOR not in value.lower():
            adapters.append(value)
        elif instruction == "adapter":
            draft.lose("ADAPTER", f"{value!r}: a preset has no projector")
        else:
            draft.lose(instruction.upper(), LOST[instruction])
    if stops:
        draft.take("stop", "stop", Node(stops[0].mark, stops))
    if adapters:
        draft.values["lora"] = adapters
    sentinels(draft, entries)
    draft.inert(entries, INERT)
    draft.take_all(entries, KEYS | OLDER)
    draft.leave(entries)
    draft.counts_prompt()
    draft.fill(DEFAULTS, "a missing PARAMETER means this in Ollama, unless the model sets it")
    draft.goes_on()
    return [draft.finish(stem(place), model=_model(draft, models), system=system)]


def _model(draft: Draft, names: list[str]) -> str | None:
    """The first model; a further FROM is a projector, or a part of the same model."""
    chosen = next((name for name in names if PROJECTOR not in name.lower()), None)
    chosen = chosen or next(iter(names), None)
    for name in names:
        if name != chosen:
            draft.lose("FROM", f"{name!r}: a preset has one model file, without a projector")
    return draft.model("FROM", chosen, own_names=True)


def sentinels(draft: Draft, entries: dict[str, Node]) -> None:
    """Replace numbers that have a special meaning in Ollama."""
    meanings: dict[tuple[str, str], tuple[str | int, str]] = {
        ("num_gpu", "-1"): ("auto", "in Ollama, as many layers as fit"),
        ("num_predict", "-2"): (-1, "in Ollama, until the context is full"),
    }
    for (key, text), (value, meaning) in meanings.items():
        if key in entries and str(entries[key].value) == text:
            draft.report("changed", f"{key} {text}", meaning)
            entries[key] = Node(entries[key].mark, value)


def _instructions(text: str, place: str) -> Iterator[tuple[Mark, str, str, str]]:
    """Each instruction with its place, the name or role after it, and its value."""
    lines = numbered(text)
    for number, line in lines:
        mark = Mark(number, 1)
        if not line.strip() or line.strip().startswith("#"):
            continue
        match = INSTRUCTION.match(line.lstrip())
        if not match:
            known = ", ".join(INSTRUCTIONS).upper()
            raise problem(place, mark, f"{line!r} begins with none of {known}, or has no value")
        instruction, value = match[1].lower(), match[2]
        name = ""
        if instruction in ("parameter", "message"):
            name, *rest = value.split(None, 1)
            value = "".join(rest)
        value = value.lstrip()
        quotes = _opening(value)
        parts = [value[len(quotes) :]]
        while not parts[-1].rstrip().endswith(quotes):
            following = next(lines, None)
            if following is None:
                raise problem(place, mark, "the quoted text that begins here does not end")
            parts.append(following[1])
        yield mark, instruction, name, "\n".join(parts).rstrip().removesuffix(quotes)


def _opening(text: str) -> str:
    """The quotation marks that a value begins with, or ''."""
    return next((quotes for quotes in ('"""', '"') if text.startswith(quotes)), "")


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    lines = [f"# {one_line(line)}" for line in preset.description.splitlines()]
    lines.append(f"FROM {_base(export)}")
    export.counting(KEYS, prompt=True, window=True)
    export.no_order()
    _tell_of_retired(export)
    stops = export.left.pop("stop", [])
    adapters = export.left.pop("lora", [])
    write_layers(export)
    export.put(KEYS)
    export.finish()
    export.own_values(*DEFAULTS, "max_tokens")
    names = {key: name for name, key in KEYS.items()}
    for key, value in export.fields.items():
        lines.append(f"PARAMETER {key} {PARAMS[names[key]].kind.show(value)}")
    for stop in stops:
        _line(export, lines, "stop", "PARAMETER stop", stop)
    for adapter in adapters:
        _line(export, lines, "lora", "ADAPTER", adapter)
    if preset.system is not None:
        _line(export, lines, "system", "SYSTEM", preset.system)
    export.no_place_for("prompt")
    return "\n".join([*lines, ""]), export.losses


def _base(export: Export) -> str:
    model = export.preset.model
    if not model:
        export.report("filled", "FROM", "the preset has no model: replace MODEL by one")
        return "MODEL"
    repository = hub_name(model)
    return f"hf.co/{repository}" if repository else one_line(model)


def write_layers(export: Export) -> None:
    """Write gpu_layers as a number: Ollama has no words for it."""
    layers = export.left.get("gpu_layers")
    if layers == "auto":
        export.left["gpu_layers"] = -1
    elif layers == "all":
        export.left["gpu_layers"] = 999
        export.report("changed", "gpu_layers", "999 there, more than any model has")


def _tell_of_retired(export: Export) -> None:
    if export.left.get("mirostat"):
        export.report("changed", "mirostat", "recent versions of Ollama ignore it")


def _line(export: Export, lines: list[str], name: str, instruction: str, text: str) -> None:
    written = f'"""{text}"""'
    if text == text.strip() != "" and "\n" not in text and not _opening(text):
        written = text
    elif any(line.strip().endswith('"""') for line in text.split("\n")[:-1]) or "\r" in text:
        export.lose(name, f"{text!r} cannot be written in a Modelfile")
        return
    lines.append(f"{instruction} {written}")


FORMAT = Format(
    name="ollama",
    program=PROGRAM,
    syntax="modelfile",
    read=read,
    write=write,
    file_name=r"(?i)modelfile",
)
