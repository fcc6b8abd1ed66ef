"""From what the user calls a model to a checked GGUF file or script; the built-in model."""
