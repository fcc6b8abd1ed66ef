"""From prompts to answers: the loop and what runs in it."""
