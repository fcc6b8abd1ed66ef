"""Tasks of lm-evaluation-harness: its YAML, the documents, their prompts and what is right."""
