"""GBNF, llama.cpp's notation: read, checked for what would hang or crash, and its shortest text."""
