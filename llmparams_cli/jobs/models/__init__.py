"""The work of `llmparams models` with what is on this disk."""
