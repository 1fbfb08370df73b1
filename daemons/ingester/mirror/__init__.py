"""A site's files on the local disk, and whether they belong together."""
