"""LocalAI: a model's configuration, as YAML."""

from __future__ import annotations

from typing import Any

from llmparams_cli.formats.common import Format, Imported, slug, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import yaml_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = "LocalAI"
KEYS = {
    "context": "context_size",
    "batch_size": "batch_size",
    "threads": "threads",
    "gpu_layers": "gpu_layers",
    "main_gpu": "main_gpu",
    "tensor_split": "tensor_split",
    "mmap": "mmap",
    "mlock": "mmlock",
    "flash_attention": "flash_attention",
    "cache_type_k": "cache_type_k",
    "cache_type_v": "cache_type_v",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
    "grammar": "grammar",
    "stop": "stopwords",
    "lora": "lora_adapters",
}
PARAMETERS = {
    **{name: name for name in ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")},
    **{name: name for name in ("repeat_penalty", "repeat_last_n", "frequency_penalty")},
    **{name: name for name in ("presence_penalty", "ignore_eos", "max_tokens")},
    **{name: name for name in ("rope_freq_base", "rope_freq_scale")},
    "batch_size": "batch",
}
DEFAULTS = {"temperature": 0.9, "min_p": 0.0}  # the others are as here
ABOUT = words("""description usage license urls icon tags known_usecases download_files""")
INERT: dict[str, tuple[Any, ...]] = {
    "f16": (True,),
    "debug": (True, False),
    "embeddings": (False,),
    "low_vram": (False,),
    "numa": (False,),
    "cuda": (True, False),
    "trimspace": ([],),
    "cutstrings": ([],),
    "disabled": (False,),
    "n_keep": (0,),
    "tfz": (1,),
    "echo": (False,),
    "n": (0, 1),
}
OTHER_MARKS = words(
    """backend template roles function feature_flags options overrides mmproj rope_scaling
        prompt_cache_path prompt_cache_all reasoning pipeline diffusers draft_model"""
)


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = yaml_entries(text, place)
    draft = Draft(place, PROGRAM)
    name = draft.text("name", entries.pop("name", None))
    draft.text("backend", entries.pop("backend", None))
    for key in ABOUT:
        entries.pop(key, None)
    system = draft.text("system_prompt", entries.pop("system_prompt", None))
    fields = {}
    if (node := entries.pop("parameters", None)) and node.value is not None:
        fields = draft.mapping("parameters", node)
    model = draft.model("model", draft.text("model", fields.pop("model", None)))
    if (template := entries.pop("template", None)) and template.value is not None:
        draft.lose("template", "the model file has its own template")
    if (node := fields.get("max_tokens")) and node.value == 0:
        fields["max_tokens"] = Node(node.mark, -1)
    for key in ("repeat_penalty", "repeat_last_n"):
        if (node := fields.get(key)) and node.value == 0:  # not given
            del fields[key]
    draft.take_all(entries, KEYS)
    draft.take_all(fields, PARAMETERS)
    draft.inert(entries, INERT)
    draft.inert(fields, INERT)
    draft.leave(entries | fields)
    draft.counts_prompt()
    draft.fill(DEFAULTS, f"a missing key means this in {PROGRAM}")
    draft.goes_on()
    return [draft.finish(slug(name) if name else stem(place), model=model, system=system or None)]


FORMAT = Format(
    name="localai",
    program=PROGRAM,
    syntax="yaml",
    read=read,
    keys=frozenset({*ABOUT, *INERT, "name", "parameters", "threads", "seed"}),
    marks=frozenset({*KEYS.values(), *OTHER_MARKS, "f16", "system_prompt"})
    - {"threads", "grammar", "mirostat_tau", "mirostat_eta"},
)
