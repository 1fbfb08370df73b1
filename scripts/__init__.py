"""Programs for people and for make; the daemons do not depend on them."""
