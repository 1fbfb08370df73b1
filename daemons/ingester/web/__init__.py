"""The public web as the ingester meets it: hostile, slow, redirecting, and never trusted."""
