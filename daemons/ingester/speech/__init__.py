"""From audio to transcripts and search entries: everything that knows about speech."""
