"""Receipts: what a run was made of, so that it can be made again.

document    from a run to its receipt: the object of `--json`, and what surrounds it
reading     from a file, which anybody may have written, to a checked receipt
comparison  a receipt beside what came of it this time: where they part, and why
identity    which model file it was: SHA-256, or a sample of its bytes
store       the log: receipts of the last runs, kept in the user's state directory
listing     the log in short, and what is found in it
"""
