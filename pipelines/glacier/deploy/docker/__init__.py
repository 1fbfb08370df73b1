"""The image: what it consists of, and docker's command line that builds, pushes and runs it."""
