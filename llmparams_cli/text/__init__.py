"""Text as data: what is safe to show, how wide it is, how tokens become characters."""
