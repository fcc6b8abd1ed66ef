"""`llmparams compare` on terminals and in pipes.

live.py     columns that grow while the answers do
columns.py  answers side by side
text.py     texts, where they diverge, table, bars
tree.py     the tree of forks where answers diverge
blocks.py   a table in blocks, on narrow terminals
data.py     JSON and CSV
"""
