"""`python -m bench.neowise.ours FOLDER`: the sidecar step as a process, with its account."""

import sys
from pathlib import Path

from bench.neowise.account import Account, save
from pipelines.neowise.catalogue import CatalogueAccess, open_catalogue
from pipelines.neowise.positions import load_positions
from pipelines.neowise.sidecar import Bounds, write_sidecar


def main(folder: Path, years: list[str], workers: int) -> None:
    """Match everything, as the command does it."""
    account = Account()
    written = write_sidecar(
        load_positions(folder / "seeds"),
        open_catalogue(CatalogueAccess(str(folder / "sky")), years),
        folder / "ours",
        radius_arcsec=5.0,
        bounds=Bounds(pixels=workers, leaves=workers),
    )
    save(folder / "ours.json", {**account.so_far(), "matched": written.matched})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3]))
