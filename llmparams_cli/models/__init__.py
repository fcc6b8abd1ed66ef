"""From what the user calls a model to a checked GGUF file; the built-in model."""
