"""Detection: the container's work between Stage-0 and Stage-2, from pictures to labelled boxes."""
