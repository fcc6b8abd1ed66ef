"""A conversation with a model. What is kept of it on disk is in `records.chats`.

choices     what presets, flags and live settings resolve to
loaded      the model and its context, kept from one answer to the next
room        a full context: which turns leave the model's view
talk        the conversation itself: messages, answers, second tries
export      a chat as Markdown or JSON
"""
