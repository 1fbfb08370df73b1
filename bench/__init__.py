"""Benchmarks: our daemons beside other people's tools, on the same endpoint in one run."""
