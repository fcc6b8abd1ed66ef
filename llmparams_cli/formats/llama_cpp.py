"""llama.cpp: sections of an INI file, and the command line that means the same.

A line is `key = value`; the key is any spelling of an option, without its dashes. Values
have no quotes and end at the first `;` or `#`. `[*]` applies to all sections.
"""

from __future__ import annotations

import re
import shlex

from llmparams_cli.formats import llama_cpp_options as options
from llmparams_cli.formats import prompts
from llmparams_cli.formats.common import (
    Entries,
    Exported,
    Format,
    Imported,
    Loss,
    hub_name,
    problem,
    slug,
    stem,
)
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.llama_cpp_written import written
from llmparams_cli.formats.source import numbered
from llmparams_cli.presets.nodes import Mark, Node
from llmparams_cli.text.safe import one_line

PROGRAM = options.PROGRAM
GLOBAL = "*"
DEFAULT = "default"  # the section for lines before the first header

MODELS = ("m", "model", "mu", "model-url")
HUB = ("hf", "hfr", "hf-repo")
Lines = list[tuple[str, Node]]

HEADER = re.compile(r"\[([^\]]+)\]\s*(?:[;#].*)?")
LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)")
COMMENT = re.compile(r"[;#]")
COMMENT_BEHIND_A_LIST = re.compile(r"(?<=[ \t]);|#")


def read(text: str, place: str) -> list[Imported]:
    """The presets in a file, one for each section."""
    sections = _sections(text, place)
    shared = sections.pop(GLOBAL, [])
    if not sections:
        sections = {stem(place): []}
    return [_preset(name, shared, own, place) for name, own in sections.items()]


def _sections(text: str, place: str) -> dict[str, Lines]:
    sections: dict[str, Lines] = {}
    current = DEFAULT
    for number, line in numbered(text):
        mark = Mark(number, 1)
        line = line.strip()
        if header := HEADER.fullmatch(line):
            current = header[1].strip()
            if current in sections:
                raise problem(place, mark, f"the section {current!r} is given twice")
            sections[current] = []
        elif match := LINE.fullmatch(line):
            key = _spelling(match[1])
            if key != "version":  # of the file's format
                sections.setdefault(current, []).append((key, Node(mark, match[2])))
        elif line and line[0] not in ";#":
            raise problem(place, mark, f"{line!r} is neither [section] nor key = value")
    return sections


def _spelling(key: str) -> str:
    """An option's name; keys may also be its environment variable."""
    if key.startswith("LLAMA_ARG_"):
        key = key.removeprefix("LLAMA_ARG_").lower()
    return key.replace("_", "-")


def _uncommented(draft: Draft, key: str, node: Node) -> Node:
    # `samplers` takes a list with semicolons, which llama.cpp's own reader cuts off.
    comment = COMMENT_BEHIND_A_LIST if key == "samplers" else COMMENT
    text = options.text_of(node)
    if match := comment.search(text):
        # Without a blank before it, it was probably meant as part of the value.
        if text[match.start() - 1 : match.start()].strip():
            draft.report("changed", key, f"llama.cpp takes {match[0]} for the start of a comment")
        text = text[: match.start()]
    return Node(node.mark, text.strip())


def _preset(name: str, shared: Lines, own: Lines, place: str) -> Imported:
    draft = Draft(place, PROGRAM, textual=True)
    entries = _entries(draft, shared) | _entries(draft, own)
    # A section named after a model on the Hub means that model, unless a line names another.
    model = f"hf.co/{name}" if hub_name(name) else None
    for key in (*MODELS, *HUB):
        if key in entries:
            model = options.text_of(entries.pop(key))
            model = f"hf.co/{model}" if key in HUB else model
    system = _first(entries, "sys", "system-prompt")
    prompt = _first(entries, "p", "prompt")
    options.take(draft, entries)
    draft.leave(entries)
    draft.counts_prompt()
    draft.goes_on()
    options.default_window(draft)
    return draft.finish(
        slug(name),
        section=name,
        model=draft.model("model", model),
        system=system,
        prompt=None if prompt is None else prompts.literal(prompt),
    )


def _entries(draft: Draft, lines: Lines) -> Entries:
    entries: Entries = {}
    for key, node in lines:
        if key in entries:
            draft.lose(key, "it is given again below, and llama.cpp takes the last")
        entries[key] = _uncommented(draft, key, node)
    return entries


def _first(entries: Entries, *keys: str) -> str | None:
    texts = [options.unescaped(options.text_of(entries.pop(key))) for key in keys if key in entries]
    return texts[0] if texts else None


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM, skips_stages=True)
    lines = [f"; {one_line(line)}" for line in preset.description.splitlines()]
    section = re.sub(r"[][\s]", "-", preset.name) or DEFAULT
    lines.append(f"[{section}]")
    if preset.model:
        repository = hub_name(preset.model)
        key = "hf" if repository else "model"
        _line(export, lines, "model", key, repository or preset.model)
    export.no_place_for("system", "prompt")
    given: set[str] = set()
    for name, key, value in written(export, for_file=True):
        if key in given:
            export.lose(name, f"{value!r}: a section can say it only once")
        elif value is not None and _line(export, lines, name, key, value):
            given.add(key)
    return "\n".join([*lines, ""]), export.losses


def command_line(preset: Exported, program: str = "llama-cli") -> tuple[str, list[Loss]]:
    """A command of llama.cpp with the same effect as the preset, and what does not fit."""
    export = Export(preset, PROGRAM, skips_stages=True)
    words = [program]
    if preset.model:
        repository = hub_name(preset.model)
        words += ["-hf", repository] if repository else ["-m", preset.model]
    if preset.system:
        words += ["-sys", options.escaped(preset.system)]
    if (prompt := prompts.finished(preset.prompt)) is not None:
        words += ["-p", options.escaped(prompt)]
    elif preset.prompt:
        export.lose("prompt", "a template with variables; llama.cpp takes finished prompts")
    for _, key, value in written(export, for_file=False):
        words += [f"--{key}"] if value is None else [f"--{key}", value]
    return shlex.join(words), export.losses


def _line(export: Export, lines: list[str], name: str, key: str, value: str) -> bool:
    if re.search(r"[;#\x00-\x1f]|^\s|\s$", value):
        export.lose(name, f"{value!r} cannot be written in an INI file")
        return False
    lines.append(f"{key} = {value}")
    return True


FORMAT = Format(
    name="llama.cpp",
    program=PROGRAM,
    syntax="ini",
    read=read,
    write=write,
    file_name=r"\.ini$",
)
