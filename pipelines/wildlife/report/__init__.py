"""The figures of `run_report.json`: counted row by row, then put together."""
