"""The watcher: every complete job becomes one committed result, whoever else watches.

It promises that a CID has one owner at a time, that a result is visible whole or not at all, that
nothing which a failing step left behind is ever pushed, and that nothing accumulates on its disk.
It never changes a job, never removes a result, and never computes what has been computed.
"""
