"""Text as data: characters from bytes, what is safe to show, how wide it is, where it is cut."""
