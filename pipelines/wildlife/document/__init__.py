"""What a run is asked for: the input document, its rules and its schema."""
