"""From logits to a token: the chain of samplers, penalties, grammars."""
