"""The container image: how it is made, how it starts, and what proves that it is whole."""
