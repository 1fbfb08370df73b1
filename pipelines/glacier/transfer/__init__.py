"""The project's code up to S3, checked there and loaded from there; results down to a disk."""
