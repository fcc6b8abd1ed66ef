"""GPT4All: a model with its settings, as JSON."""

from __future__ import annotations

from llmparams_cli.formats.common import Format, Imported, slug, stem, words
from llmparams_cli.formats.draft import Draft
from llmparams_cli.formats.source import json_entries
from llmparams_cli.presets.nodes import Node

PROGRAM = "GPT4All"
KEYS = {
    "temperature": "temperature",
    "top_k": "topK",
    "top_p": "topP",
    "min_p": "minP",
    "repeat_penalty": "repeatPenalty",
    "repeat_last_n": "repeatPenaltyTokens",
    "max_tokens": "maxLength",
    "context": "contextLength",
    "batch_size": "promptBatchSize",
    "gpu_layers": "gpuLayers",
}
ALL_LAYERS = 100  # the value of a model whose layers nobody has counted
ABOUT = words(
    """order md5sum filename filesize requires removedIn ramrequired parameters quant type
        description url disableGUI embeddingModel isDefault isOnline isDiscovered installed
        id chatNamePrompt suggestedFollowUpPrompt quality sizeInfo likes downloads recency"""
)


def read(text: str, place: str) -> list[Imported]:
    """The preset in a file."""
    entries = json_entries(text, place)
    draft = Draft(place, PROGRAM)
    name = draft.text("name", entries.pop("name", None))
    model = draft.model("filename", draft.text("filename", entries.get("filename")))
    for key in ABOUT:
        entries.pop(key, None)
    texts = [draft.text(key, entries.pop(key, None)) for key in ("systemPrompt", "systemMessage")]
    for key in ("promptTemplate", "chatTemplate"):
        if (node := entries.pop(key, None)) and node.value:
            draft.lose(key, "the model file has its own template")
    if (layers := entries.get("gpuLayers")) and layers.value in (-1, ALL_LAYERS):
        entries["gpuLayers"] = Node(layers.mark, "all")
    draft.take_all(entries, KEYS)
    draft.leave(entries)
    draft.counts_prompt()
    system = next((text for text in texts if text), None)
    return [draft.finish(slug(name) if name else stem(place), model=model, system=system)]


FORMAT = Format(
    name="gpt4all",
    program=PROGRAM,
    syntax="json",
    read=read,
    keys=frozenset({*ABOUT, "name", "temperature", "systemPrompt", "systemMessage"}),
    marks=frozenset({*KEYS.values(), "ramrequired", "promptTemplate", "chatTemplate"})
    - {"temperature"},
)
