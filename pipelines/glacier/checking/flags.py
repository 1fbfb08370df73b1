"""The flags of `towpath glacier check`. Pure."""

from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import config_keys
from pipelines.glacier.values import choice

SATELLITE = Flag(
    "--satellite",
    config_keys.SATELLITE.kind,
    "sentinel2 or landsat (default: the one of config.ini)",
    "NAME",
)
BASE_DIR = Flag(
    "--base-dir",
    where.PATH,
    "folder with the satellite's results (default: the one that config.ini leads to)",
    "DIR",
    old_spelling="--base_dir",
)
REGIONS = Flag(
    "--regions",
    config_keys.REGIONS.kind,
    "regions by name; each must be there (default: those that are there)",
    "NAME,NAME",
)
LAYOUT = Flag(
    "--layout",
    choice("old", "new"),
    "folders of the results, old or new (default: the one that is found)",
    "NAME",
)
REGION_FILE = Flag(
    "--region-file",
    where.PATH,
    "GeoPackage of the regions, to check the grids (default: the project's, if it is there)",
    "FILE",
)

SYNTAX = Syntax(
    program="towpath glacier check",
    description="""
    Check finished results: the folders of each region, and projection, resolution, type, nodata,
    bands and content of each raster.

    Exit status: 0 all is right, 1 something is not, 2 nothing was found to check.
    """,
    groups={
        "what": (SATELLITE, REGIONS, BASE_DIR, LAYOUT, REGION_FILE),
        "report": (where.OUTPUT,),
        "project": (where.PROJECT, where.CONFIG, where.AWS_CONFIG),
    },
)
