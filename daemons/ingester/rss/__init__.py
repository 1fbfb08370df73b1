"""Feeds: the eight elements that matter, read as text, one bad item costing itself alone."""
