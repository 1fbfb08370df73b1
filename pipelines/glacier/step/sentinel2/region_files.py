"""The files of one region: what is there, where it goes, what is cleared away. All of it blocks."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.glacier.layout import Sentinel2Layout
from pipelines.glacier.regions import Region
from pipelines.glacier.step.drafts import draft_of, remove_stale
from pipelines.glacier.step.errors import StepFailed
from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.rasters import count_valid, is_whole
from pipelines.glacier.step.sentinel2.lineage import Row, combined_text, parse_row, row_text
from pipelines.glacier.step.sentinel2.products import parse_file_name
from pipelines.glacier.step.sentinel2.scenes import Acquisition, Tile
from shared.files import make_folders, write_durably

log: FilteringBoundLogger = structlog.get_logger()

COVERED_ENOUGH = 0.95
"""A template with so much is not replaced by a better one."""
_TABLE_BYTES_MAX = 1 << 16
_TABLE_TRIES = 20


@dataclass(slots=True)
class RegionFiles:
    """One region's part of the output folder."""

    base_dir: Path
    region: Region
    layout: Sentinel2Layout
    grid: Grid
    years: range
    """Those of the window: their raw tiles are looked at."""
    _template_coverage: float | None = None

    def prepare(self) -> None:
        """Make the folders of results, and remove what crashed runs left in them."""
        for folder in self._own_folders():
            make_folders(folder)
            self._remove_stale(folder)

    def raw_tile(self, tile: Tile) -> Path:
        """Return where a raw tile lies."""
        return self.base_dir / self.layout.raw_tile(tile.year, tile.product.file_name)

    def scene(self, acquisition: str) -> Path:
        """Return where a merged and clipped acquisition lies."""
        return self.base_dir / self.layout.scene(acquisition)

    def raw_files(self) -> Iterator[tuple[str, str]]:
        """Yield the files in the folders of raw tiles, as pairs of year and name."""
        for year in self.years:
            folder = self.base_dir / self.layout.downloads / str(year)
            if folder.is_dir():
                self._remove_stale(folder)
                yield from [(str(year), path.name) for path in folder.iterdir()]

    def raw_name(self, tile: Tile) -> str:
        """Return a raw tile's place below the output folder."""
        return str(self.layout.raw_tile(tile.year, tile.product.file_name))

    def results(self, acquisition: str) -> tuple[str, ...]:
        """Return the files of an acquisition by their places, the raster first."""
        places = (self.layout.scene(acquisition), self.layout.lineage(acquisition))
        return tuple(str(place) for place in places if (self.base_dir / place).exists())

    def has_scene(self, acquisition: str) -> bool:
        """Tell whether an acquisition is there already; one that is torn is made again."""
        return is_whole(self.scene(acquisition))

    def write_lineage(self, acquisition: Acquisition) -> None:
        """Write which raw tiles a scene was made of."""
        text = row_text(acquisition.id, acquisition.file_names)
        write_durably(self.base_dir / self.layout.lineage(acquisition.id), text.encode())

    def write_combined(self) -> None:
        """Write the lineage of all scenes; where there is none, no file.

        Another run may do other days of the region: whoever writes last has looked after that.
        """
        written = ""
        for _ in range(_TABLE_TRIES):
            text = combined_text(self._rows())
            if text == written:
                return
            write_durably(self.base_dir / self.layout.combined_csv, text.encode())
            written = text

    def offer_template(self, raster: Path, coverage: float) -> tuple[str, ...]:
        """Take a raster for the template where it shows more; returns the place then."""
        if self._template_coverage is None:
            self._template_coverage = self._load_template_coverage()
        if self._template_coverage >= COVERED_ENOUGH or coverage <= self._template_coverage:
            return ()
        with draft_of(self.base_dir / self.layout.template) as draft:
            shutil.copyfile(raster, draft)
        self._template_coverage = coverage
        return (str(self.layout.template),)

    def coverage(self, valid_pixels: int) -> float:
        """Return which part of the region so many pixels cover."""
        return self.grid.area_km2(valid_pixels) / self.region.area_km2

    def clear_downloads(self) -> None:
        """Remove raw tiles; in the layout where regions share a folder, only this region's."""
        folder = self.base_dir / self.layout.downloads
        if self.layout.layout == "old":
            for entry in folder.iterdir() if folder.is_dir() else ():
                _remove(entry)
            return
        for year, name in list(self.raw_files()):
            product = parse_file_name(name)
            if product is not None and product.tile in self.region.tiles:
                with suppress(FileNotFoundError):
                    (folder / year / name).unlink()

    def _own_folders(self) -> tuple[Path, ...]:
        layout = self.layout
        places = (layout.clipped, layout.individual_csv)
        return tuple(
            self.base_dir / place
            for place in (*places, layout.template.parent, layout.combined_csv.parent)
        )

    def _load_template_coverage(self) -> float:
        path = self.base_dir / self.layout.template
        if not path.exists():
            return 0.0
        try:
            return self.coverage(count_valid(path, self.grid))
        except StepFailed as error:
            log.warning("template_replaced", path=str(path), reason=str(error))
            return 0.0

    def _rows(self) -> Iterator[Row]:
        folder = self.base_dir / self.layout.individual_csv
        for path in sorted(folder.glob("[!.]*.csv")):
            with path.open("rb") as stream:
                text = stream.read(_TABLE_BYTES_MAX).decode("utf-8", "replace")
            row = parse_row(text)
            if row is not None and row[0] == path.stem:
                yield row
            else:
                log.warning("lineage_left_out", path=str(path), reason="not a line of lineage")

    def _remove_stale(self, folder: Path) -> None:
        for path in remove_stale(folder, time.time()):
            log.info("stale_draft_removed", path=str(path))


def _remove(entry: Path) -> None:
    """Remove a file, or a folder with all in it; a link itself and not what it leads to."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        with suppress(FileNotFoundError):
            entry.unlink()
