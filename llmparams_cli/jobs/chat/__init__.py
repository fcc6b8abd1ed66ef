"""A conversation that survives: what is asked of the model, and what is kept on disk.

choices     presets, flags and live settings, and what they resolve to
entries     the lines of a chat's file
transcript  the turns that those lines add up to, and which of them the model sees
journal     one chat's file: locked, read, appended to
sessions    all chats: their names, the newest, a list
loaded      the model, loaded for the first answer, and its context
room        a context that fills: which turns leave the model's view
talk        the conversation itself: messages, answers, second tries
export      a chat as Markdown or JSON
"""
