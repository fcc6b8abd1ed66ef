"""The prefix cache: what models computed of long prompts, so that no later run computes it again.

generate, chat, explain and compare find a prompt in it by its tokens, if model, settings and
machine are the same, and a part of it if another prompt begins alike; the answer is the same as
without. At most 2 GB are kept, and what was not used for the longest time goes first:
LLMPARAMS_CACHE_SIZE=8GB sets another limit, LLMPARAMS_CACHE_SIZE=off keeps nothing, --no-cache
does for one run.
"""

from __future__ import annotations

# Each command's module has its name.
COMMANDS = {
    "list": "List what is kept of each model: tokens, size, last use.",
    "clear": "Remove what is kept of a model, or all.",
}
