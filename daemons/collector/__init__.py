"""The collector: every finished result in S3 reaches the inbox and then the central folder, once.

It promises that a file appears in the central folder whole or not at all, and that a CID is
recorded only when its table is durably there. It never overwrites and never deletes anything in
the central folder, never changes a runout in the bucket (but for a tag, if it is told to), and
never merges a second result that differs.
"""
