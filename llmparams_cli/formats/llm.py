"""llm: a YAML template, whose prompts are `string.Template`s: $name, ${name} and $$."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from llmparams_cli.formats import ollama, prompts, thinking
from llmparams_cli.formats.common import Entries, Exported, Format, Imported, Loss, elsewhere, stem
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.source import entries as entries_of
from llmparams_cli.formats.source import yaml_node
from llmparams_cli.formats.yaml_text import dump
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import prompt_template
from llmparams_cli.presets.nodes import Node

PROGRAM = "llm"
VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<name>[_a-zA-Z]\w*)|\{(?P<braced>[_a-zA-Z]\w*)\})", re.A
)
NOT_OPTIONS = ("json_schema", "lora")
# The options depend on the model's plugin. Written are OpenAI's names, or else Ollama's.
KEYS = {
    name: key
    for name, key in {
        **elsewhere("ollama"),
        **elsewhere("openai"),
        "max_tokens": "max_tokens",
    }.items()
    if name not in NOT_OPTIONS
}
THINK = "think"  # a switch, in the plugin for Ollama
OLDER = {name: key for name, key in elsewhere("ollama").items() if name not in NOT_OPTIONS}
INERT: dict[str, tuple[Any, ...]] = {
    "extract": (False,),
    "extract_last": (False,),
    "fragments": ([],),
    "system_fragments": ([],),
    "attachments": ([],),
    "attachment_types": ([],),
    "tools": ([],),
}
# Words that cannot be variables in Jinja.
CONSTANTS = ("true", "True", "false", "False", "none", "None")
STATEMENTS = ("and", "elif", "else", "endfor", "endif", "for", "if", "import", "in", "is", "not")
RESERVED = (*CONSTANTS, *STATEMENTS, "or")


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    root = yaml_node(text, place)
    draft = Draft(place, PROGRAM)
    if isinstance(root.value, str):  # a template may be its prompt alone
        root = Node(root.mark, {"prompt": root})
    entries = entries_of(root, place)
    entries.pop("name", None)
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    defaults = _defaults(draft, entries.pop("defaults", None))
    node = entries.pop("prompt", None)
    prompt, variables = _prompt(draft, draft.text("prompt", node), defaults)
    system = _system(draft, draft.text("system", entries.pop("system", None)), defaults)
    _options(draft, entries.pop("options", None))
    if (schema := entries.pop("schema_object", None)) and schema.value is not None:
        draft.take("json_schema", "schema_object", schema)
    if (code := entries.pop("functions", None)) and code.value is not None:
        draft.lose("functions", "it is program code, which is never run")
    draft.inert(entries, INERT)
    draft.leave(entries)
    if node and prompt is not None:
        try:
            prompt_template.names(prompt)
        except ValueError as error:
            raise draft.error(node, f"prompt: {error}") from error
    others = {"model": model, "system": system, "prompt": prompt, "variables": variables}
    return [draft.finish(stem(place), **others)]


def _defaults(draft: Draft, node: Node | None) -> dict[str, str]:
    if node is None or node.value is None:
        return {}
    defaults = {}
    for name, item in draft.mapping("defaults", node).items():
        if isinstance(item.value, (dict, list)):
            raise draft.error(item, f"defaults: {name} must be one text")
        if item.value is not None:
            defaults[name] = prompt_template.text_of(item.value)
    return defaults


def _prompt(
    draft: Draft, text: str | None, defaults: dict[str, str]
) -> tuple[str | None, dict[str, str | None]]:
    if text is None:
        return None, {}
    variables: dict[str, str | None] = {}
    written = []
    parts = list(_parts(text))
    for (part, is_name), following in zip(parts, [*parts[1:], ("", False)], strict=False):
        if not is_name:
            written.append(prompts.literal(part, before_variable=following[1]))
            continue
        name = f"{part}_" if part in RESERVED else part
        if name != part and name not in variables:
            draft.report(
                "changed", f"${part}", f"{name} here: the name means something else in Jinja"
            )
        if name != prompt_template.INPUT:
            variables[name] = defaults.get(part)
        written.append(f"{{{{ {name} }}}}")
    return "".join(written), variables


def _system(draft: Draft, text: str | None, defaults: dict[str, str]) -> str | None:
    """System texts have no variables here: defaults are filled in, other names stay."""
    if text is None:
        return None
    written = []
    for part, is_name in _parts(text):
        if is_name and part in defaults:
            draft.report(
                "changed", f"${part} in system", "its default is written in: it is no template"
            )
        elif is_name:
            draft.lose(f"${part} in system", "a system text is no template here")
        written.append(defaults.get(part, f"${part}") if is_name else part)
    return "".join(written)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Split into texts (False) and names of variables (True); a lone $ is text."""
    end = 0
    pending = ""
    for match in VARIABLE.finditer(text):
        pending += text[end : match.start()]
        end = match.end()
        if match["dollar"]:
            pending += "$"
            continue
        if pending:
            yield pending, False
        pending = ""
        yield match["name"] or match["braced"], True
    if pending := pending + text[end:]:
        yield pending, False


def _options(draft: Draft, node: Node | None) -> None:
    if node is None or node.value is None:
        return
    options: Entries = draft.mapping("options", node)
    draft.inert(options, {"json_object": (False,)})
    if (biases := options.pop("logit_bias", None)) and biases.value is not None:
        if isinstance(biases.value, str):
            draft.lose("logit_bias", "write it as a mapping from token to bias")
        else:
            draft.take_biases("logit_bias", draft.mapping("logit_bias", biases).items())
    ollama.sentinels(draft, options)
    thinking.take_all(draft, options, "thinking", THINK, thinking.EFFORT)
    draft.take_all(options, {name: name for name in PARAMS})
    draft.take_all(options, OLDER)
    draft.take_all(options, KEYS)
    draft.leave(options)


def write(preset: Exported) -> tuple[str, list[Loss]]:
    """The file, and what does not fit into it."""
    export = Export(preset, PROGRAM)
    body: dict[str, Any] = {"model": preset.model} if preset.model else {}
    if preset.system is not None:
        body["system"] = preset.system.replace("$", "$$")
    if preset.prompt is not None:
        body |= _written_prompt(export, preset.prompt)
    schema = export.left.pop("json_schema", None)
    if isinstance(schema, dict):
        body["schema_object"] = schema
    elif schema is not None:
        export.lose("json_schema", f"{PROGRAM} takes objects only")
    export.no_order()
    biases = export.left.pop("logit_bias", {})
    ollama.write_layers(export)
    export.put(KEYS)
    if export.left.get("thinking") in ("on", "off"):
        export.fields[THINK] = export.left.pop("thinking") == "on"
    thinking.write_effort(export, none=False)
    if biases:
        export.lose("logit_bias", "its form depends on the model's plugin")
    export.finish()
    if export.fields:
        body["options"] = export.fields
    return dump(body, preset.description), export.losses


def _written_prompt(export: Export, prompt: str) -> dict[str, Any]:
    parts = prompts.parts(prompt)
    if parts is None:
        export.lose(
            "prompt", f"it does more than {PROGRAM} can: only {{{{ name }}}} is simple enough"
        )
        return {}
    written = ""
    for (part, is_name), (after, _) in zip(parts, [*parts[1:], ("", False)], strict=False):
        if not is_name:
            written += part.replace("$", "$$")
        else:  # braces only where they are needed
            written += f"${{{part}}}" if re.match(r"\w", after) else f"${part}"
    body: dict[str, Any] = {"prompt": written}
    names = {part for part, is_name in parts if is_name}
    defaults = {name: text for name, text in export.preset.variables.items() if text is not None}
    if defaults := {name: text for name, text in defaults.items() if name in names}:
        body["defaults"] = defaults
    return body


FORMAT = Format(
    name="llm",
    program=PROGRAM,
    syntax="yaml",
    read=read,
    write=write,
    keys=frozenset({"model"}),
    marks=frozenset(
        {"system", "prompt", "defaults", "options", "schema_object", "functions", *INERT}
    ),
)
