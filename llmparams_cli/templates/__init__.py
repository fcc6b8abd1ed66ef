"""Messages to prompts, through a model's chat template."""
