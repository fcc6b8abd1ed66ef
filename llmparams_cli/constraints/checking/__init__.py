"""Whether an answer is valid for a JSON Schema as it is written."""
