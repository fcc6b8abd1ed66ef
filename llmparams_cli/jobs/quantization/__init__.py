"""Smaller models: planned, made, and measured against the original."""
