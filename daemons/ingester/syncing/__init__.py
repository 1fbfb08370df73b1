"""Local files and S3 in step: two sorted listings merged, newer wins, nothing is ever deleted."""
