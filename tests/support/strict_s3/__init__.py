"""An S3 on loopback that refuses what AWS refuses; docs/strict-s3.md is its manual."""
