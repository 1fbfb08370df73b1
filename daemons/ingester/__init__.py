"""The ingester: podcast sites in step with S3, every episode transcribed once, indexed on change.

It promises that nothing is ever deleted by it unless told to, that a manifest is merged and never
overwritten, that no audio is transcribed while a transcript of it exists anywhere, and that one
bad feed, item, file or site costs itself alone. It never touches what lies outside the six folders
of a site.
"""
