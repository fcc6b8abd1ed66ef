"""Chats: what was said, kept line by line.

choices     what was asked for: presets, flags, and what was set live
entries     the lines of a chat's file
transcript  the turns that those lines add up to, and which of them the model sees
journal     one chat's file while it is open: read, appended to
sessions    all chats: their names, the newest, a list
"""
