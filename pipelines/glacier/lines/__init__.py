"""The command lines of `towpath glacier`: flags, files, and which of them a value is taken from."""
