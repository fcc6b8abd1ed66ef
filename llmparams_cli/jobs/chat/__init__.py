"""A conversation that survives: what is asked of the model, and what is kept on disk.

choices     presets, flags and live settings, and what they resolve to
entries     the lines of a chat's file
transcript  the turns that those lines add up to, and which of them the model sees
journal     one chat's file: locked, read, appended to
sessions    all chats: their names, the newest, a list
talk        the model at work on it: answers, second tries, a context that fills
export      a chat as Markdown or JSON
"""
