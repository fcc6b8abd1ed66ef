"""What was recorded, looked at: pure functions and their results."""
