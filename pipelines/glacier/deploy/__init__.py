"""Bringing the code to where it runs: permissions, image, function, task definitions, checks."""
