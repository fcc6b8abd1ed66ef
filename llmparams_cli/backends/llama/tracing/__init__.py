"""Recorded logits, drawn from again: what stages and settings did."""
