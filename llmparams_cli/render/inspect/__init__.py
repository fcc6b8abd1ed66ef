"""How a model's inside looks.

overview    the main view, on one screen; memory: what fits
weights     one tensor's values as a histogram; layers: norms by layer
tokens      a text, piece by piece
difference  two files side by side
listing     keys and tensors, line by line
data        all of it as JSON
page        and as a page
"""
