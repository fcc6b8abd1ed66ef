"""From prompts to answers: the decode loop, its slots, and what it records."""
