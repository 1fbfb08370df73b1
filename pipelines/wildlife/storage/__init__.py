"""Pictures and results where they lie: in a bucket, or in a folder."""
