"""Presets of other programs: `read` and `write` them, and report what does not fit.

| format | program | its files |
|---|---|---|
| llama.cpp | llama.cpp | INI: `[name]` sections with the options of its command line |
| llama.cpp-request | llama.cpp | JSON: the body of a request to its server; read only |
| ollama | Ollama | Modelfile |
| ollama-request | Ollama | JSON: the body of a request; read only |
| openai | OpenAI's API | JSON: the body of a chat request |
| anthropic | Anthropic's API | JSON: the body of a request; read only |
| hf | transformers | generation_config.json |
| vllm | vLLM | JSON: SamplingParams |
| vllm-request | vLLM | JSON: the body of a request to its server; read only |
| webui | text-generation-webui | YAML |
| llm | llm | YAML: a template |
| lmstudio | LM Studio | JSON: a preset, in the form since 0.3 or before |
| sillytavern | SillyTavern | JSON: text completion settings |
| kobold | KoboldCpp | JSON: a request, or SillyTavern's settings for it; read only |
| aichat | aichat | Markdown: a role; read only |
| gpt4all | GPT4All | JSON: a model with its settings; read only |
| jan | Jan | JSON: model.json, or an assistant; read only |
| localai | LocalAI | YAML: a model's configuration; read only |
| mods | mods | YAML: its settings; read only |

One module per format. Files are untrusted: nothing in them is ever run.
"""

from __future__ import annotations

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import (
    aichat,
    anthropic,
    gpt4all,
    hf,
    jan,
    kobold,
    llama_cpp,
    llama_request,
    llm,
    lmstudio,
    localai,
    mods,
    ollama,
    ollama_request,
    openai,
    sillytavern,
    vllm,
    vllm_request,
    webui,
)
from llmparams_cli.formats.common import Exported, Format, Imported, Loss, problem
from llmparams_cli.formats.llama_cpp import command_line
from llmparams_cli.formats.recognise import recognised
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import label
from llmparams_cli.presets.nodes import Mark
from llmparams_cli.text.shorten import brief

__all__ = [
    "FORMATS",
    "WRITTEN",
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
    for module in (
        *(llama_cpp, ollama, webui, llm, lmstudio, hf, sillytavern, openai, vllm),
        *(kobold, llama_request, ollama_request, vllm_request, anthropic),
        *(aichat, gpt4all, jan, localai, mods),
    )
}
WRITTEN = {name: format.write for name, format in FORMATS.items() if format.write}


def detect(text: str, file_name: str) -> str:
    """The format of a file, by its content; its name decides only where formats match equally.

    Raises PresetError if it is not clear, or a program's whose files are not read.
    """
    return recognised(text, file_name, FORMATS.values()).name


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
    if all(preset.is_empty for preset in presets):
        raise PresetError(f"{place}: there is nothing in it that a preset can hold")
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
    text, losses = WRITTEN[format](preset)
    # No other program has values for thinking alone.
    why = "the program has one value for thoughts and answer"
    own = [Loss("lost", label(name, when_thinking=True), why) for name in preset.thinking]
    return text, [*losses, *own]
