"""The sidecar step as the settings say: which catalogue, which years, how much at once."""

import os
from pathlib import Path

from pipelines.neowise.catalogue import CatalogueAccess, open_catalogue
from pipelines.neowise.positions import Positions
from pipelines.neowise.settings import Settings
from pipelines.neowise.sidecar import Bounds, SidecarWritten, write_sidecar


def search(settings: Settings, positions: Positions, out_root: Path) -> SidecarWritten:
    """Do the sidecar step as the settings say."""
    access = CatalogueAccess(
        root=settings.catalogue,
        aws_region=settings.catalogue_region,
        endpoint_url=settings.catalogue_endpoint(os.environ),
        anonymous=settings.catalogue_anonymous,
    )
    return write_sidecar(
        positions,
        open_catalogue(access, settings.years),
        out_root,
        radius_arcsec=settings.radius_arcsec,
        bounds=Bounds(pixels=settings.workers, leaves=settings.readers_at_once),
    )
