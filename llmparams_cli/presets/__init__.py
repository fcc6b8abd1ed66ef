"""Presets: files, how they add up, where every value comes from, their tests."""
