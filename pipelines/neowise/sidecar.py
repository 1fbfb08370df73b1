"""The sidecar step: for every optical position the closest detection of the catalogue.

Work is cut by pixels: each leaf is opened once, however many positions lie in it, and a position
whose circle touches several pixels is asked about in each of them; the last step takes the closest.
Rule: the outcome depends on the inputs alone, never on what was read first or how often it was
killed.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.neowise.catalogue import Catalogue
from pipelines.neowise.columns import DETECTION_SCHEMA, SIDECAR_NAME, SIDECAR_SCHEMA
from pipelines.neowise.disk import write_table
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.leaf import NO_DETECTIONS, Region, Stopped, make_region, read_leaf
from pipelines.neowise.matching import Matches, closest, joined
from pipelines.neowise.pixels import pixels_touched
from pipelines.neowise.positions import Positions
from pipelines.neowise.shards import Shards
from pipelines.neowise.sphere import Integers

log: FilteringBoundLogger = structlog.get_logger()

_NANO = 1e-9
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is done at once."""

    pixels: int
    """Pixels under way, and so the shards in memory."""
    leaves: int
    """Leaves being read, and so the row groups in memory."""


@dataclass(frozen=True, slots=True)
class SidecarWritten:
    """What the step made."""

    path: Path
    positions: int
    matched: int
    pixels: int
    resumed: int
    """Pixels that an earlier run had finished."""


def write_sidecar(
    positions: Positions,
    catalogue: Catalogue,
    out_root: Path,
    *,
    radius_arcsec: float,
    bounds: Bounds,
) -> SidecarWritten:
    """Find the closest detections and write `neowise_se_flags_ALL.parquet`.

    Raises:
        EndpointRefused: the catalogue cannot be reached; what is finished is kept.
        UsageError: a file of the catalogue cannot be used.
    """
    catalogue.check()
    shards = Shards(out_root / "tmp", catalogue.shown_root, catalogue.years, radius_arcsec)
    index, pixel = pixels_touched(positions.ra_deg, positions.dec_deg, radius_arcsec)
    work = [_Pixel(int(one), index[pixel == one]) for one in np.unique(pixel)]
    search = _Search(positions, catalogue, shards, radius_arcsec, bounds)
    parts = search.run(work)
    best = closest(joined([part.matches for part in parts], NO_DETECTIONS))
    path = out_root / SIDECAR_NAME
    write_table(path, _sidecar_table(positions, best))
    resumed = sum(part.resumed for part in parts)
    return SidecarWritten(path, len(positions), len(best), len(work), resumed)


@dataclass(frozen=True, slots=True)
class _Pixel:
    """A pixel, and the positions whose circle touches it."""

    number: int
    chosen: Integers


@dataclass(frozen=True, slots=True)
class _Part:
    """What a pixel gave; positions are numbered as in the whole run."""

    matches: Matches
    resumed: bool


class _Search:
    """Two pools of threads: pixels, and the leaves that they consist of."""

    def __init__(
        self,
        positions: Positions,
        catalogue: Catalogue,
        shards: Shards,
        radius_arcsec: float,
        bounds: Bounds,
    ) -> None:
        self._positions = positions
        self._catalogue = catalogue
        self._shards = shards
        self._radius = radius_arcsec
        self._bounds = bounds
        self._stop = threading.Event()
        self._causes: list[BaseException] = []
        """What made readers stop, the first one first."""

    def run(self, work: Sequence[_Pixel]) -> list[_Part]:
        """Do every pixel; the first failure ends all, and is raised."""
        with (
            ThreadPoolExecutor(self._bounds.leaves, "leaf") as leaves,
            ThreadPoolExecutor(self._bounds.pixels, "pixel") as pixels,
        ):
            try:
                futures = [pixels.submit(self._do_pixel, one, leaves) for one in work]
                return _results(futures)
            except Stopped:
                # Those that were stopped may end before the one that failed.
                raise self._causes[0] from None
            except BaseException:
                # Also when interrupted. The threads look at this, and the pools wait for them.
                # Leaves are not cancelled: nobody wakes who waits for a cancelled future.
                self._stop.set()
                pixels.shutdown(wait=False, cancel_futures=True)
                raise

    def _do_pixel(self, work: _Pixel, leaves: ThreadPoolExecutor) -> _Part:
        fingerprint = self._shards.made_from(work.number, self._positions, work.chosen)
        found = self._shards.load(work.number, fingerprint)
        if found is not None:
            return _Part(found, resumed=True)
        if self._stop.is_set():
            raise Stopped
        region = make_region(
            self._positions.ra_deg[work.chosen],
            self._positions.dec_deg[work.chosen],
            self._radius,
        )
        futures = [
            leaves.submit(self._do_year, year, work.number, region)
            for year in self._catalogue.years
        ]
        best = closest(joined(_results(futures), NO_DETECTIONS))
        matches = Matches(work.chosen[best.position], best.separation_nas, best.detections)
        self._shards.save(work.number, fingerprint, matches)
        log.info(
            "pixel_finished",
            pixel=work.number,
            positions=len(work.chosen),
            matched=len(matches),
        )
        return _Part(matches, resumed=False)

    def _do_year(self, year: str, pixel: int, region: Region) -> Matches:
        if self._stop.is_set():
            raise Stopped
        try:
            parts = [
                read_leaf(self._catalogue, leaf, region, self._goes_on)
                for leaf in self._catalogue.leaves(year, pixel)
            ]
        except BaseException as error:
            # At once, and not when somebody looks at this result: no other leaf is begun.
            self._causes.append(error)
            self._stop.set()
            raise
        return joined(parts, NO_DETECTIONS)

    def _goes_on(self) -> bool:
        return not self._stop.is_set()


def _results(futures: Sequence[Future[ResultT]]) -> list[ResultT]:
    """Return all results in order; the first failure is raised as soon as it is there."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
    return [future.result() for future in futures]


def _sidecar_table(positions: Positions, best: Matches) -> pa.Table:
    """Return the output: one row for each position that has a match, in the order of the seeds."""
    chosen = best.position
    ra, dec = positions.ra_deg[chosen], positions.dec_deg[chosen]
    separation = best.separation_nas * _NANO
    columns = [
        pa.array([positions.source_ids[number] for number in chosen], pa.string()),
        pa.array(ra),
        pa.array(dec),
        *(best.detections.column(name) for name in DETECTION_SCHEMA.names),
        pa.array(separation.astype(np.float32)),
        pa.array(pixels_of(ra, dec).astype(np.int32)),
    ]
    return pa.table(columns, schema=SIDECAR_SCHEMA)
