"""`llmparams compare` on terminals and in pipes.

live.py     columns that grow while the answers do
text.py     texts, where they part, table, bars
data.py     JSON and CSV
"""
