"""The sky of the demonstration: which chunks there are, and what is to become of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.neowise.catalogue import leaf_folder
from pipelines.neowise.healpix import pixels_of
from pipelines.neowise.sky import Field, Sky, SkyPlan, Truth, chunk_csv, write_sky
from scripts.demo.stage import ScaleName
from shared.handshake.layout import chunk_name, closest_name

POISON = "00666"
"""The chunk in whose part of the catalogue a file is damaged."""
ANSWERED = ("00020", "00021", "00022")
"""The chunks that the archive has answered already."""

_YEARS = ("year1", "year2", "year3", "addendum")
_EQUATOR = (Field("00001", 10.0, 0.3, 0.8, 0), Field("00002", 150.1, -0.2, 0.8, 0))
_WRAP = (Field("00004", 0.0, 0.1, 0.5, 0), Field("00005", 359.95, -42.0, 0.5, 0))
_POLES = (Field("00007", 45.0, 89.6, 0.6, 0), Field("00009", 310.0, -89.8, 0.5, 0))
_FIELDS = (
    *(*_EQUATOR, Field("00003", 275.0, 0.0, 0.8, 0), *_WRAP, Field("00006", 0.0, 67.5, 0.5, 0)),
    *(*_POLES, Field("00008", 200.0, 89.9, 0.4, 0), Field("00010", 45.0, 41.8103, 0.6, 0)),
    *(Field("00011", 83.6, -5.4, 0.6, 0), Field("02104", 337.0, 30.0, 0.6, 0)),
    Field("00020", 230.0, -60.0, 0.6, 0),
    Field("00021", 315.0, 20.0, 0.6, 0),
    Field("00022", 65.0, 72.0, 0.6, 0),
    Field(POISON, 120.0, -25.0, 0.3, 0),
)
_SMALL = ("00001", "00004", "00007", "00020", POISON, "02104")
_DAMAGE = b"PAR1 the rest of this file was lost PAR1"


@dataclass(frozen=True, slots=True)
class Heavens:
    """What was made, and the truth about it."""

    catalogue: Path
    sky: Sky
    truths: Mapping[str, Truth]

    @property
    def to_compute(self) -> Sequence[str]:
        """The CIDs whose results must come back."""
        return [cid for cid in self.truths if cid != POISON and cid not in ANSWERED]


def make_heavens(folder: Path, scale: ScaleName) -> Heavens:
    """Write the catalogue and damage a file of it; takes some seconds."""
    chosen = [field for field in _FIELDS if scale == "full" or field.cid in _SMALL]
    positions, background = (80, 300_000) if scale == "full" else (20, 4_000)
    fields = [Field(f.cid, f.ra_deg, f.dec_deg, f.radius_deg, positions) for f in chosen]
    plan = SkyPlan(fields, years=_YEARS, background=background, extra_columns=4, seed=2010)
    sky = write_sky(folder, plan)
    truths = {truth.cid: truth for truth in sky.truths}
    for pixel in {int(p) for p in pixels_of(truths[POISON].ra_deg, truths[POISON].dec_deg)}:
        for leaf in (folder / leaf_folder("year1", pixel)).glob("*.parquet"):
            leaf.write_bytes(_DAMAGE)
    return Heavens(folder, sky, truths)


def place_chunks(heavens: Heavens, positions: Path, cids: Sequence[str]) -> None:
    """Put chunks where PROD has them, and the archive's answers beside those that have one."""
    for cid in cids:
        if cid in ANSWERED:
            (positions / closest_name(cid)).write_text("row_id,cntr\n")
        # Written aside and renamed: a person's editor may do otherwise, a script should not.
        aside = positions / f".{chunk_name(cid)}.new"
        aside.write_bytes(chunk_csv(heavens.truths[cid]))
        aside.rename(positions / chunk_name(cid))


def waves(heavens: Heavens) -> Iterator[Sequence[str]]:
    """Yield the chunks in the portions in which they come: most at once, some later."""
    cids = list(heavens.truths)
    cut = max(2, len(cids) * 3 // 4)
    yield cids[:cut]
    yield cids[cut:]
