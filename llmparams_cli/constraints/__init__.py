"""Constrained output: what an answer must look like, in a notation that an engine follows."""
