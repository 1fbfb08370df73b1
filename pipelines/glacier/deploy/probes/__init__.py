"""A handler asked as Lambda asks it, and what it must answer."""
