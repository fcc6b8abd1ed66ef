"""The work of each command, and steps that several share; nothing here prints an answer."""
