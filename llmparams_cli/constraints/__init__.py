"""What an answer must look like: JSON Schemas and patterns in GBNF, text in and text out."""
