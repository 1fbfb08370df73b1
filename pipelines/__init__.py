"""Code that runs and ends: the steps of a job, Lambda handlers, Batch commands.

Pipelines build on `shared` and know neither a daemon nor one another. Their heavy libraries come
with an extra each (`towpath[neowise]`) and are imported by the sub-command that needs them, in a
process of its own; no daemon ever loads them.
"""
