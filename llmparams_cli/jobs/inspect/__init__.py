"""What `inspect` finds out about a model file.

subject     the model that is meant, and all that its header says
fit         how much memory it takes, and what of it fits
numbers     the values of its tensors: one, all by layer, or beside those of another file
tokens      how its tokenizer splits a text
"""
