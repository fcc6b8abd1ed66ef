"""Training runs: planned, made step by step, resumed, and measured."""
