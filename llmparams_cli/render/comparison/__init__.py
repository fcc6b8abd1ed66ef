"""`llmparams compare` on terminals and in pipes.

live.py     columns that grow while the answers do
text.py     texts, where they part, table, bars
tree.py     where the answers part
blocks.py   a table in blocks, on narrow terminals
data.py     JSON and CSV
"""
