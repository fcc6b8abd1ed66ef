"""One file for each command: its options, the job it runs, and what prints the result."""
