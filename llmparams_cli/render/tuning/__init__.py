"""How training a model looks.

words     numbers and sentences that all views share
live      the run while it goes on, on stderr
report    the plan before it, and what came of it
variants  a sweep of learning rates, a ladder of variants
data      all of it as JSON
"""
