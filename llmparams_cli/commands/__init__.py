"""One file a command: its options, what it runs, what prints the result."""
