"""The container image of the detection: how it is made, and what proves that it is whole."""
