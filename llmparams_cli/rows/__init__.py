"""Rows of a batch: read from files and pipes one by one, asked, and written down as they end."""
