"""What is kept of runs: receipts, from which a run can be reproduced, and saved chats.

document    makes a receipt of a run: the object of `--json`, and what surrounds it
reading     reads and checks a receipt, from a file that anybody may have written
comparison  compares a receipt with its replay: where they diverge, and why
identity    identifies model files by SHA-256, or by a sample of their bytes
store       the log: receipts of the last runs, in the user's state directory
listing     lists and searches the log
origins     writes and reads where a value came from, in receipts and chats
journal     an append-only file of lines
chats/      saved chats
"""
