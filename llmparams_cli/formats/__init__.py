"""Presets of other programs: `read` and `write` them, and report what does not fit.

| format | program | its files |
|---|---|---|
| llama.cpp | llama.cpp | INI: `[name]` sections with the options of its command line |
| ollama | Ollama | Modelfile |
| openai | OpenAI's API | JSON: the body of a chat request |
| hf | transformers | generation_config.json |
| vllm | vLLM | JSON: SamplingParams |
| webui | text-generation-webui | YAML |
| llm | llm | YAML: a template |
| lmstudio | LM Studio | JSON: a preset, in the form since 0.3 or before |
| sillytavern | SillyTavern | JSON: text completion settings |

One module per format. Files are untrusted: nothing in them is ever run.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import (
    hf,
    llama_cpp,
    llm,
    lmstudio,
    ollama,
    openai,
    sillytavern,
    vllm,
    webui,
)
from llmparams_cli.formats.common import Entries, Exported, Format, Imported, Loss, problem
from llmparams_cli.formats.llama_cpp import command_line
from llmparams_cli.formats.source import json_node, numbered, yaml_node
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.presets.nodes import Mark
from llmparams_cli.text.shorten import brief

__all__ = [
    "FORMATS",
    "Exported",
    "Format",
    "Imported",
    "Loss",
    "command_line",
    "detect",
    "read",
    "write",
]

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (llama_cpp, ollama, webui, llm, lmstudio, hf, sillytavern, openai, vllm)
}


def detect(text: str, file_name: str) -> str:
    """The format of a file, by its content; its name decides only where formats match equally.

    Raises PresetError if it is not clear.
    """
    syntax, entries = _syntax(text, file_name)
    candidates = [format for format in FORMATS.values() if format.syntax == syntax]
    if entries is None:  # only one format has this syntax
        return candidates[0].name
    # A preset of this program has `parameters`; a template of llm has `options`.
    if "parameters" in entries and "options" not in entries and syntax == "yaml":
        raise PresetError(f"{file_name}: this is a preset of this program already")
    counts = {format.name: len(format.keys & entries.keys()) for format in candidates}
    best = [name for name, count in counts.items() if count == max(counts.values())]
    if len(best) > 1:
        bare = PurePath(file_name).name
        best = [name for name in best if re.search(FORMATS[name].file_name, bare)]
    if len(best) != 1 or not counts[best[0]]:
        raise PresetError(
            f"{file_name}: it is not clear which program this is for",
            f"name its format: {', '.join(FORMATS)}",
        )
    return best[0]


def read(
    text: str, place: str, format: str | None = None, section: str | None = None
) -> list[Imported]:
    """Read and check the presets in a file; `section` picks one of them.

    `place` is the file's path as shown to people. Raises PresetError with place:line.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise problem(place, Mark(line, 1), "not a text file: it has a NUL character")
    presets = FORMATS[format or detect(text, place)].read(text, place)
    if section is None:
        return presets
    chosen = [preset for preset in presets if section in (preset.name, preset.section)]
    if not chosen:
        names = [preset.section or preset.name for preset in presets]
        raise PresetError(
            f"{place}: there is no section {section!r}{did_you_mean(section, names)}",
            brief(f"its sections are {', '.join(names)}"),
        )
    return chosen


def write(format: str, preset: Exported) -> tuple[str, list[Loss]]:
    """The text of the preset as a file of another program, and what does not fit there."""
    return FORMATS[format].write(preset)


def _syntax(text: str, file_name: str) -> tuple[str, Entries | None]:
    """The text's syntax, and its top-level keys if it is JSON or YAML."""
    lines = [line.strip() for _, line in numbered(text)]
    lines = [line for line in lines if line and line[0] not in "#;"]
    first = lines[0] if lines else ""
    if first.startswith("{"):
        root = json_node(text, file_name).value
        return "json", root if isinstance(root, dict) else {}
    if llama_cpp.HEADER.fullmatch(first) and any(map(llama_cpp.LINE.fullmatch, lines)):
        return "ini", None
    if llama_cpp.LINE.fullmatch(first):
        return "ini", None
    if ollama.INSTRUCTION.fullmatch(first):
        return "modelfile", None
    root = yaml_node(text, file_name).value
    return "yaml", root if isinstance(root, dict) else {}
