"""From what a camera's clock showed to when it was. Pure."""
