"""Constrained output: JSON Schemas and regular expressions, translated to GBNF grammars."""
