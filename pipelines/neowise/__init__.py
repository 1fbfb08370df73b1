"""The three steps of one CID: seeds, the closest NEOWISE-R detections, and their table.

`seeds` turns a chunk's CSV into Parquet, `sidecar` finds for every position the closest detection
of the public catalogue within a radius, `closest` writes the table that the project works with, and
`process` does all of it in one command. Every output is there whole or not at all, every step can
be repeated, and one that was killed goes on where it was.
"""
