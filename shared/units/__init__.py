"""Units of the daemons: what each needs, how it is confined, and how it gets onto a machine."""
