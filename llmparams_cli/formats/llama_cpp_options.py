"""llama.cpp's options, and what their values mean."""

from __future__ import annotations

import re

from llmparams_cli.formats import order, thinking
from llmparams_cli.formats.common import Entries, elsewhere
from llmparams_cli.formats.draft import Draft
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
    "think-budget": "max_thinking_tokens",  # LLAMA_ARG_THINK_BUDGET
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
NGRAM_DRAFT = 48  # tokens, where the option is missing
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


def _thinking(draft: Draft, key: str, node: Node) -> None:
    thinking.take(draft, key, Node(node.mark, text_of(node)))


def _variables(draft: Draft, key: str, node: Node) -> None:
    thinking.take_variables(draft, key, Node(node.mark, text_of(node)))


def _speculation(draft: Draft, key: str, node: Node) -> None:
    for name in text_of(node).split(","):
        if name.startswith("ngram-"):
            draft.values.setdefault("prompt_lookup", NGRAM_DRAFT)
        elif name not in ("none", "draft-simple"):
            draft.lose(key, f"{name!r} is not known here")


def _template(draft: Draft, key: str, node: Node) -> None:
    draft.take("chat_template", key, Node(node.mark, text_of(node)))


def _template_file(draft: Draft, key: str, node: Node) -> None:
    draft.lose(key, f"a preset names it as chat_template: '@{text_of(node)}'")


READERS = {
    "rea": _thinking,
    "reasoning": _thinking,
    "reasoning-effort": _thinking,
    "spec-type": _speculation,
    "chat-template": _template,
    "chat-template-file": _template_file,
    "chat-template-kwargs": _variables,
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
