"""The phases of a run, one module each, and what they say of themselves."""
