"""What a clean-up removes, and what it never touches."""
