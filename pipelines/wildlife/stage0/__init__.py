"""Pictures to lines: what a camera noted in the head of each file, its clock repaired."""
