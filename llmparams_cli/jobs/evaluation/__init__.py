"""What `llmparams evaluate` measures: models and presets by texts, cases and tasks."""
