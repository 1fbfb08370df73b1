"""The processing step of Sentinel-2: the near infrared band, 10 m, merged and clipped by region.

Options, names and tables are frozen; `python -m pipelines.glacier.step.sentinel2 --help` tells the
options.
"""
