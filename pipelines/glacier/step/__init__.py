"""The processing step of both satellites: find, download, merge and clip scenes of each region.

What it leaves below the output folder has the names, grids and tables that later steps of the chain
read; see `pipelines.glacier.layout`. A scene that is there is whole: every file gets its name last.
"""
