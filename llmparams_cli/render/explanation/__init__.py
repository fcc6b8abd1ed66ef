"""`llmparams explain` on terminals and in pipes.

view.py        lines, and how tokens and probabilities are written in them
overview.py    a line for every draw, and what follows
draw.py        one draw stage by stage
fit.py         what a given text demands of the settings
data.py        JSON
"""
