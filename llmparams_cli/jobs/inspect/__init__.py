"""What `inspect` finds out about a model file.

source      the file that is meant
fit         how much memory it takes, and what of it fits
numbers     the values of its tensors: one, all by layer, or beside those of another file
tokens      how its tokenizer splits a text
"""
