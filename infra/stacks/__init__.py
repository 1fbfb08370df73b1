"""The stacks: what is deployed, and removed, as a whole."""
