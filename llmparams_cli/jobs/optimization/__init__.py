"""`llmparams optimize`: searches for settings that pass more, and proves them on other cases."""
