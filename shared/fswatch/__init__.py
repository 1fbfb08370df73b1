"""Find files and tell when they have settled: the scan is the truth, events are hints."""
