"""Landsat's processing step: finds scenes of a region, clips them out of the bucket of the USGS.

Names, folders, grid, data type and nodata are frozen: later steps of the chain read them. A raster
has its final name only when it is whole.
"""
