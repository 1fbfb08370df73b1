"""The page that people look at: one file, drawn from aggregates, which asks nobody for anything."""
