"""Presets: their files and tests, how layers merge, and where every value comes from."""
