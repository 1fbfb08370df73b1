"""The states of a run as coroutines, the same on AWS, on a laptop and in tests."""
