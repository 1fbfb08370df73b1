"""What two or more services need: settings, life cycle, logs, S3, file watch. Knows no service."""
