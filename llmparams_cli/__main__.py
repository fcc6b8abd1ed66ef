"""`python -m llmparams_cli` is the same as `llmparams`."""

from llmparams_cli.cli import main

if __name__ == "__main__":
    main()
