"""Finds and checks models: from a user's reference to a GGUF file or script; the built-in one."""
