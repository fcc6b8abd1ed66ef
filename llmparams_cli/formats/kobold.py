"""KoboldCpp: the body of a request, or SillyTavern's settings for it, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import messages, openai, order, webui
from llmparams_cli.formats.common import Entries, Format, Imported, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = "KoboldCpp"
SHARED = {
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical",
    "top_n_sigma": "nsigma",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "dry_multiplier": "dry_multiplier",
    "dry_base": "dry_base",
    "dry_allowed_length": "dry_allowed_length",
    "dry_last_n": "dry_penalty_last_n",
    "dynatemp_range": "dynatemp_range",
    "dynatemp_exponent": "dynatemp_exponent",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
    "adaptive_p_target": "adaptive_target",
    "adaptive_p_decay": "adaptive_decay",
    "repeat_penalty": "rep_pen",
    "repeat_last_n": "rep_pen_range",
    "presence_penalty": "presence_penalty",
    "grammar": "grammar",
}
REQUEST = {
    "temperature": "temperature",
    "max_tokens": "max_length",
    "context": "max_context_length",
    "seed": "sampler_seed",
    "stop": "stop_sequence",
}
# In SillyTavern's file, a key of the request has another meaning: max_length is the context.
SETTINGS = {"temperature": "temp", "max_tokens": "genamt", "context": "max_length", "seed": "seed"}
TELL_SETTINGS = ("temp", "genamt", "streaming_kobold", "single_line")
NO_END = ("use_default_badwordsids", "ban_eos_token")  # both forbid the token that ends the text
ORDER = (6, 0, 1, 3, 4, 2, 5)  # if none is given
# What a request means by leaving a key out; what is missing otherwise is off.
DEFAULTS = {"temperature": 0.75, "top_k": 100, "top_p": 0.92}
WINDOW = 320  # of the penalties and of DRY, if their keys are missing
INERT: dict[str, tuple[Any, ...]] = {
    "top_a": (0,),
    "tfs": (1,),
    "rep_pen_slope": (1,),
    "smoothing_factor": (0,),
    "smoothing_curve": (1,),
    "guidance_scale": (1,),
    "negative_prompt": ("",),
    "memory": ("",),
    "images": ([],),
    "audio": ([],),
    "banned_tokens": ([], ""),
    "banned_strings": ([],),
    "custom_token_bans": ("",),
    "grammar_retain_state": (False,),
    "bypass_eos": (False,),
    "render_special": (False, True),
    "trim_stop": (True, False),
    "quiet": (True, False),
    "n": (1,),
    "logprobs": (False,),
    "stream": (True, False),
    "streaming": (True, False),
    "streaming_kobold": (True, False),
    "can_abort": (True, False),
    "gui_settings": (False,),
    "use_story": (False,),
    "use_memory": (False,),
    "use_authors_note": (False,),
    "use_world_info": (False,),
    "single_line": (False,),
    "singleline": (False,),
    **{f"s{number}": tuple(range(7)) for number in range(1, 8)},  # the order, once more
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    is_settings = any(key in entries for key in TELL_SETTINGS)
    _, prompt = messages.take(draft, entries)
    _order(draft, entries)
    _windows(draft, entries)
    webui.breakers(draft, entries)
    openai.biases(draft, entries)
    for key in NO_END:
        if draft.flag(key, entries.pop(key, None)):
            draft.values["ignore_eos"] = True
    draft.take_all(entries, SHARED | (SETTINGS if is_settings else REQUEST))
    if not draft.penalises("repeat_penalty"):
        entries.pop("rep_pen_slope", None)
    entries.pop("genkey", None)  # names the request
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    draft.fill_neutral(SHARED, **({} if is_settings else DEFAULTS))
    webui.default_window(draft, WINDOW)
    if draft.penalises("dry_multiplier"):
        draft.fill({"dry_last_n": WINDOW}, f"a missing key means this in {PROGRAM}")
    return [draft.finish(stem(place), prompt=prompt)]


def _order(draft: Draft, entries: Entries) -> None:
    node = entries.pop("sampler_order", None)
    numbers: list[float] = list(ORDER)
    if node is not None and node.value is not None:
        items = draft.items("sampler_order", node)
        numbers = [draft.number("sampler_order", item) for item in items]
    draft.sampler_order(order.kobold(numbers), f"the stages as {PROGRAM} runs them")


def _windows(draft: Draft, entries: Entries) -> None:
    """KoboldCpp looks at one token at least."""
    node = entries.get("rep_pen_range")
    if node and node.value == 0 and not isinstance(node.value, bool):
        entries["rep_pen_range"] = Node(node.mark, 1)
        draft.report("changed", "rep_pen_range 0", f"1 here: the least in {PROGRAM}")


FORMAT = Format(
    name="kobold",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset(
        {"prompt", "dry_sequence_breakers", "logit_bias", "sampler_order", "ban_eos_token"}
        | {*SHARED.values(), *SETTINGS.values(), *REQUEST.values(), *INERT}
    ),
    marks=words(
        """typical sampler_seed max_context_length use_default_badwordsids
        streaming_kobold genkey custom_token_bans grammar_retain_state"""
    ),
    file_name=r"(?i)kobold",
)
