"""What PROD and EC2 agree on: names in the bucket, leases, commit records, manifests, reports."""
