"""Objects in S3 as a small protocol of verbs on exact keys, and the engines that speak it."""
