"""What is kept of runs: receipts, from which one can be made again, and chats.

document    from a run to its receipt: the object of `--json`, and what surrounds it
reading     from a file, which anybody may have written, to a checked receipt
comparison  a receipt beside what came of it this time: where they part, and why
identity    which model file it was: SHA-256, or a sample of its bytes
store       the log: receipts of the last runs, kept in the user's state directory
listing     the log in short, and what is found in it
origins     where a value came from, as receipts and chats say it
journal     a file that only grows, a line at a time
chats/      conversations that survive
"""
