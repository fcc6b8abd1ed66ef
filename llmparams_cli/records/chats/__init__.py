"""Saved chats: one file each, written line by line.

choices     what the user asked for: presets, flags, and values set during the chat
entries     the lines of a chat's file
transcript  the turns that those lines add up to, and which of them the model sees
journal     one chat's file while it is open: reading, appending
sessions    all chats: their names, the newest, the list
"""
