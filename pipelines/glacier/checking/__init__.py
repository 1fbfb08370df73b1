"""Looks at finished results: are all folders there, and is every raster what later steps expect?

It never changes a file, and nothing found to check is never a pass.
"""
