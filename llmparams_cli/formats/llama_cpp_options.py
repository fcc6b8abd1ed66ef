"""llama.cpp's options and how their values are written, in its files and command lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from llmparams_cli.formats import order
from llmparams_cli.formats.common import REPETITION, Entries, does_nothing, elsewhere
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.export import Export
from llmparams_cli.params.seeds import DRAW_ONE
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.metadata import STAGE_LETTERS
from llmparams_cli.presets.nodes import Node

PROGRAM = "llama.cpp"
# Options whose values are written in ways of their own: see READERS and WRITERS.
SPECIAL = ("mmap", "mlock", "lora", "sampler_order", "stop", "dry_sequence_breakers", "logit_bias")
OPTIONS = {
    name: option.lstrip("-")
    for name, option in elsewhere("llama_cpp").items()
    if name not in SPECIAL
}
# Further spellings; most are also aliases of this program's flags.
SPELLINGS = {
    "temperature": "temperature",
    "typical-p": "typical_p",
    "top-n-sigma": "top_n_sigma",
    "batch": "batch_size",
    "ubatch": "ubatch_size",
    "gpu-layers": "gpu_layers",
    "mmap": "mmap",
    "mlock": "mlock",
    **{
        option.lstrip("-"): name
        for name, param in PARAMS.items()
        for option in (*param.aliases, param.elsewhere.llama_cpp)
        if option and " " not in option
    },
}
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "\\": "\\"}
LOAD_MODES = {
    (False, False): "none",
    (True, False): "mmap",
    (False, True): "mlock",
    (True, True): "mmap+mlock",
}
DRY_WINDOW = 64  # of llama.cpp; here, the whole context
WORDS = {"enabled": "true", "disabled": "false"}


def take(draft: Draft, entries: Entries) -> None:
    """Read the options among `entries`, in the order in which they are given."""
    for key in list(entries):
        if key in READERS:
            READERS[key](draft, key, entries.pop(key))
        elif key.removeprefix("no-") in ("mmap", "mlock"):
            _switch(draft, key, entries.pop(key))
        elif key in SPELLINGS:
            _option(draft, key, entries.pop(key))


def default_window(draft: Draft) -> None:
    """Fill in DRY's window if it is on and the option is missing."""
    if draft.penalises("dry_multiplier"):
        draft.fill({"dry_last_n": DRY_WINDOW}, f"a missing option means this in {PROGRAM}")


def text_of(node: Node) -> str:
    """The text behind an option."""
    return str(node.value)


def _option(draft: Draft, key: str, node: Node) -> None:
    name = SPELLINGS[key]
    text = text_of(node)
    # Numbers that stand for something else in llama.cpp, in this program's terms.
    if name in ("threads", "threads_batch") and text == "-1":
        text = "0"
    elif name == "gpu_layers" and text in ("-1", "-2"):
        text = "auto" if text == "-1" else "all"
    elif (name, text) in (("seed", str(DRAW_ONE)), ("max_tokens", "-2")):
        text = "-1"
    elif name in ("mlock", "ignore_eos"):
        text = WORDS.get(text, text)
    elif name == "context" and text == "0":
        draft.report("changed", "context 0", "in llama.cpp, the whole context that was trained")
    draft.take(name, key, Node(node.mark, text))


def _switch(draft: Draft, key: str, node: Node) -> None:
    name = key.removeprefix("no-")
    text = WORDS.get(text_of(node), text_of(node))
    draft.take(name, key, Node(node.mark, text))
    if key != name and name in draft.values:
        draft.values[name] = not draft.values[name]


def _load_mode(draft: Draft, key: str, node: Node) -> None:
    modes = {name: mode for mode, name in LOAD_MODES.items()}
    if (mode := text_of(node)) in modes:
        draft.values["mmap"], draft.values["mlock"] = modes[mode]
    elif mode != "auto":
        draft.lose(key, f"{mode!r} is not known here")


def _lora(draft: Draft, key: str, node: Node) -> None:
    paths = [path for path in text_of(node).split(",") if path]
    draft.values["lora"] = [*draft.values.get("lora", []), *paths]


def _samplers(draft: Draft, key: str, node: Node) -> None:
    _order(draft, key, [name for name in text_of(node).split(";") if name.strip()])


def _letters(draft: Draft, key: str, node: Node) -> None:
    _order(draft, key, [STAGE_LETTERS.get(letter, letter) for letter in text_of(node)])


def _order(draft: Draft, key: str, names: list[str]) -> None:
    for name in names:
        if not order.known([name]):
            draft.lose(key, f"{name!r} is no stage here")
    draft.sampler_order(["logit_bias", *order.known(names)], "as the file says")


def _texts(draft: Draft, key: str, node: Node) -> None:
    draft.take(SPELLINGS[key], key, Node(node.mark, unescaped(text_of(node))))


def _breakers(draft: Draft, key: str, node: Node) -> None:
    if text_of(node) == "none":
        draft.values["dry_sequence_breakers"] = []
    else:
        _texts(draft, key, node)


def _bias(draft: Draft, key: str, node: Node) -> None:
    match = re.fullmatch(r"(\d+)([-+])(inf|\d*\.?\d+)", text_of(node))
    if not match:
        raise draft.error(node, f"{key}: {node.value!r} is not TOKEN+BIAS or TOKEN-BIAS")
    draft.take_biases(key, [(match[1], Node(node.mark, float(match[2] + match[3])))])


READERS = {
    "load-mode": _load_mode,
    "lora": _lora,
    "lora-scaled": _lora,
    "samplers": _samplers,
    "sampler-seq": _letters,
    "sampling-seq": _letters,
    "r": _texts,
    "reverse-prompt": _texts,
    "dry-sequence-breaker": _breakers,
    "l": _bias,
    "logit-bias": _bias,
}


def unescaped(text: str) -> str:
    """Resolve the backslash escapes that llama.cpp reads in prompts and stop strings."""

    def char(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if code[0] == "x" else ESCAPES.get(code, match[0])

    return re.sub(r"\\(x[0-7][0-9a-fA-F]|.)", char, text)


def escaped(text: str, also: str = "") -> str:
    """Escape control characters, and those in `also`, with backslashes."""
    names = {char: name for name, char in ESCAPES.items() if name not in "'\""}

    def one(char: str) -> str:
        if char in names:
            return f"\\{names[char]}"
        return f"\\x{ord(char):02x}" if char < " " or char in also else char

    return "".join(map(one, text))


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
    if schema is not None:  # ; and # as JSON escapes, for they begin comments in a file
        yield "json-schema", json.dumps(schema).replace("#", "\\u0023").replace(";", "\\u003b")


def _write_numbers(export: Export, numbers: list[float], for_file: bool) -> Iterator[Option]:
    if numbers:
        yield "tensor-split", PARAMS["tensor_split"].kind.show(numbers)


def _write_grammar(export: Export, grammar: str, for_file: bool) -> Iterator[Option]:
    if grammar:
        yield "grammar", grammar


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
    "grammar": _write_grammar,
}
