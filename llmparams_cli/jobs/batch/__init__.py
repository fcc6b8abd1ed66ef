"""`llmparams batch`: many rows through one model, each as if it were alone, none lost."""
