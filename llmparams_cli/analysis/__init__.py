"""Analysis of recorded answers and logits: pure functions and their results."""
