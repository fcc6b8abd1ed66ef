"""What `llmparams evaluate` measures: models by a text."""
