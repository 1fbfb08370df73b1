"""The dispatcher: every chunk of positions without an answer becomes a job in the bucket, once.

It promises that a job's marker is written after its seeds, that a CID is recorded after both are
acknowledged, and that whatever interrupts it, no CID is sent twice and none is left out. It never
changes or removes a chunk or an answer, and never touches a job that is complete.
"""
