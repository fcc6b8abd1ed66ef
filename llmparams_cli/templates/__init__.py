"""Turns chat messages into prompts, through the model's chat template."""
