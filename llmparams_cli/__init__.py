"""llmparams: run local language models and see every parameter at work."""

__version__ = "0.1.0"

APP = "llmparams"
PREFIX = "LLMPARAMS_"  # of environment variables
