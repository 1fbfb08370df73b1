"""Runs one job where it was sent: the handler of the Lambda function and the containers' runner.

Both are a thin face of `core`: an event or an environment becomes a request, a process of its own
does the work, and what it finishes is in the bucket before it is told. A run that is stopped or
killed loses nothing that was finished; the next delivery goes on from there. It never leaves files
for the next request, and never reports as done what is not stored.
"""
