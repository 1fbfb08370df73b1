"""The only place that knows aiobotocore: clients, identity, and the translation of its errors."""
