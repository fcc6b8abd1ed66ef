"""Jan: a model with its settings (model.json), or an assistant, as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats import openai
from llmparams_cli.formats.common import Format, Imported, slug, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = "Jan"
SETTINGS = {
    "context": "ctx_len",
    "gpu_layers": "ngl",
    "threads": "cpu_threads",
    "batch_size": "n_batch",
    "mmap": "use_mmap",
    "cache_type_k": "cache_type",
}
PARAMETERS = {
    **{name: name for name in ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")},
    **{name: name for name in ("frequency_penalty", "presence_penalty", "repeat_last_n")},
    **{name: name for name in ("repeat_penalty", "max_tokens", "stop", "ignore_eos")},
    **{name: name for name in ("mirostat", "mirostat_tau", "mirostat_eta", "dynatemp_range")},
    **{name: name for name in ("dynatemp_exponent", "context")},
}
ABOUT = words(
    """id object version format name description created metadata sources source_url engine
        avatar thread_location created_at file_ids owned_by"""
)
INERT: dict[str, tuple[Any, ...]] = {
    "stream": (True, False),
    "tools": ([],),
    "n": (1,),
    "n_parallel": (1,),
    "cont_batching": (True, False),
    "embedding": (False,),
    "flash_attn": (False,),
}


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    name = draft.text("name", entries.get("name")) or draft.text("id", entries.get("id"))
    for key in ABOUT:
        entries.pop(key, None)
    model = draft.model("model", draft.text("model", entries.pop("model", None)))
    system = draft.text("instructions", entries.pop("instructions", None))
    for group, keys in (("settings", SETTINGS), ("parameters", PARAMETERS)):
        if (node := entries.pop(group, None)) is None or node.value is None:
            continue
        fields = draft.mapping(group, node)
        if path := draft.text("llama_model_path", fields.pop("llama_model_path", None)):
            model = draft.model("llama_model_path", path)
        if fields.pop("prompt_template", None):
            draft.lose("prompt_template", "the model file has its own template")
        if (layers := fields.get("ngl")) and layers.value in (-1, 100):  # Jan's words for all
            fields["ngl"] = Node(layers.mark, "all")
        openai.biases(draft, fields)
        draft.take_all(fields, keys)
        draft.inert(fields, INERT)
        draft.leave(fields)
    draft.inert(entries, INERT)
    draft.leave(entries)
    draft.counts_prompt()
    return [draft.finish(slug(name) if name else stem(place), model=model, system=system or None)]


FORMAT = Format(
    name="jan",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset({*ABOUT, "model", "parameters", "instructions", "tools"}),
    marks=frozenset({"settings", "engine", "thread_location", "sources"}),
    file_name=r"^(model|assistant)\.json$",
)
