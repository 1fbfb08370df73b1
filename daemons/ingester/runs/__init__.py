"""What a run comes to, when the next one is due, and what is kept of those before."""
