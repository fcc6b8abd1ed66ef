"""Values as options of llama.cpp, in its files and on its command lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from llmparams_cli.formats import thinking
from llmparams_cli.formats.common import REPETITION, does_nothing
from llmparams_cli.formats.export import Export
from llmparams_cli.formats.llama_cpp_options import LOAD_MODES, OPTIONS, PROGRAM, escaped
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.metadata import STAGE_LETTERS

Option = tuple[str, str | None]  # name and value; None: a switch on a command line


def written(export: Export, for_file: bool) -> Iterator[tuple[str, str, str | None]]:
    """The parameters that are left: name, option and value."""
    export.counting(REPETITION, prompt=True, window=True)
    for name, value in list(export.left.items()):
        if name in WRITERS:
            for key, text in WRITERS[name](export, value, for_file):
                yield name, key, text
        elif name in OPTIONS:
            if (name, value) == ("context", 0):
                export.report("changed", "context", f"0 is all that was trained in {PROGRAM}")
            yield name, OPTIONS[name], PARAMS[name].kind.show(value)
        elif not does_nothing(name, value):
            export.lose(name, f"{PROGRAM} has no such parameter")
    export.left.clear()
    is_repeating = export.is_active("dry_multiplier")
    export.own_values("max_tokens", *(["dry_last_n"] if is_repeating else []))


def _write_order(export: Export, stages: list[str], for_file: bool) -> Iterator[Option]:
    if stages[:1] != ["logit_bias"] and export.chosen.get("logit_bias"):
        export.report("reordered", "sampler_order", f"{PROGRAM} always adds the biases first")
    stages = [stage for stage in stages if stage != "logit_bias"]
    letters = {stage: letter for letter, stage in STAGE_LETTERS.items()}
    if for_file:  # where a semicolon would begin a comment
        yield "sampling-seq", "".join(letters[stage] for stage in stages)
    else:
        yield "samplers", ";".join(stages)


def _write_load_mode(export: Export, value: bool, for_file: bool) -> Iterator[Option]:
    mmap, mlock = (export.chosen.get(name, PARAMS[name].default) for name in ("mmap", "mlock"))
    yield "load-mode", LOAD_MODES[mmap, mlock]


def _write_lock(export: Export, value: bool, for_file: bool) -> Iterator[Option]:
    if value and "mmap" not in export.chosen:  # otherwise it is written already
        yield from _write_load_mode(export, value, for_file)


def _write_ignore_eos(export: Export, value: bool, for_file: bool) -> Iterator[Option]:
    if value:  # llama.cpp's file cannot switch it off
        yield "ignore-eos", "true" if for_file else None


def _write_lora(export: Export, adapters: list[str], for_file: bool) -> Iterator[Option]:
    is_scaled = [bool(re.search(r":[0-9.]+$", adapter)) for adapter in adapters]
    if any(is_scaled):
        pairs = zip(adapters, is_scaled, strict=True)
        yield "lora-scaled", ",".join(path if scaled else f"{path}:1" for path, scaled in pairs)
    elif adapters:
        yield "lora", ",".join(adapters)


def _write_biases(export: Export, biases: dict[str, float], for_file: bool) -> Iterator[Option]:
    for token, bias in biases.items():
        if token.isdecimal():
            yield "logit-bias", f"{token}{'-' if bias < 0 else '+'}{_plain(abs(bias))}"
        else:
            export.lose("logit_bias", f"{token!r}: {PROGRAM} takes token ids only")


def _plain(number: float) -> str:
    """The number without an exponent, whose sign could be mistaken for the bias's."""
    return format(Decimal(repr(number)), "f") if number != math.inf else "inf"


def _write_stops(export: Export, stops: list[str], for_file: bool) -> Iterator[Option]:
    # ; and # would begin a comment in a file, and blanks at an end would be stripped.
    for stop in stops:
        yield "reverse-prompt", escaped(stop, ";#" if stop == stop.strip() else ";# ")


def _write_breakers(export: Export, breakers: list[str], for_file: bool) -> Iterator[Option]:
    if not breakers:
        yield "dry-sequence-breaker", "none"
    for text in breakers:
        yield "dry-sequence-breaker", escaped(text, ";#" if text == text.strip() else ";# ")


def _write_schema(export: Export, schema: object, for_file: bool) -> Iterator[Option]:
    if schema is not None:
        yield "json-schema", _json(schema)


def _write_numbers(export: Export, numbers: list[float], for_file: bool) -> Iterator[Option]:
    if numbers:
        yield "tensor-split", PARAMS["tensor_split"].kind.show(numbers)


def _write_lookup(export: Export, tokens: int, for_file: bool) -> Iterator[Option]:
    if tokens:
        by_model = ",draft-simple" * bool(export.chosen.get("draft_model"))
        yield "spec-type", f"ngram-simple{by_model}"
        yield OPTIONS["prompt_lookup"], str(tokens)


def _write_draft_model(export: Export, name: str, for_file: bool) -> Iterator[Option]:
    if name:
        if not export.chosen.get("prompt_lookup"):  # otherwise it is written already
            yield "spec-type", "draft-simple"
        yield OPTIONS["draft_model"], name


def _write_grammar(export: Export, grammar: str, for_file: bool) -> Iterator[Option]:
    if grammar:
        yield "grammar", grammar


def _write_thinking(export: Export, value: str, for_file: bool) -> Iterator[Option]:
    if value in thinking.LEVELS:
        yield "reasoning-effort", value
    else:
        yield "reasoning", value


def _write_variables(export: Export, value: dict[str, Any], for_file: bool) -> Iterator[Option]:
    if value:
        yield "chat-template-kwargs", _json(value)


def _write_template(export: Export, template: str, for_file: bool) -> Iterator[Option]:
    if template:
        yield "chat-template", template


def _json(value: object) -> str:
    """JSON with ; and # as escapes, for they begin comments in a file."""
    return json.dumps(value).replace("#", "\\u0023").replace(";", "\\u003b")


WRITERS: dict[str, Callable[[Export, Any, bool], Iterator[Option]]] = {
    "sampler_order": _write_order,
    "mmap": _write_load_mode,
    "mlock": _write_lock,
    "ignore_eos": _write_ignore_eos,
    "lora": _write_lora,
    "logit_bias": _write_biases,
    "stop": _write_stops,
    "dry_sequence_breakers": _write_breakers,
    "json_schema": _write_schema,
    "tensor_split": _write_numbers,
    "prompt_lookup": _write_lookup,
    "draft_model": _write_draft_model,
    "grammar": _write_grammar,
    "thinking": _write_thinking,
    "template_arg": _write_variables,
    "chat_template": _write_template,
}
