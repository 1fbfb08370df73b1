"""The names that cross a wire: columns of seeds, catalogue, sidecar table and CSV, and the gates.

Rule: what the catalogue must say of a detection for it to count is written here and nowhere else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ORDER = 5
"""HEALPix order of the catalogue's partitions; nested numbering."""
NSIDE = 2**ORDER
PIXELS = 12 * NSIDE**2
FOLDERS_OF_A_FACE = 1024

LAST_MJD = 59198.0
"""2020-12-15, where the archive's own answers end."""

_CID = re.compile(r"[0-9]{5}")

SEED_SCHEMA = pa.schema(
    [
        ("opt_ra_deg", pa.float64()),
        ("opt_dec_deg", pa.float64()),
        ("source_id", pa.string()),
        ("row_id", pa.string()),
        ("chunk_id", pa.string()),
    ]
)

DETECTION_FIELDS = (
    pa.field("source_id", pa.string()),
    pa.field("cntr", pa.int64()),
    pa.field("ra", pa.float64()),
    pa.field("dec", pa.float64()),
    pa.field("mjd", pa.float64()),
    pa.field("w1snr", pa.float32()),
    pa.field("w2snr", pa.float32()),
    pa.field("qual_frame", pa.int64()),
    pa.field("qi_fact", pa.float32()),
    pa.field("saa_sep", pa.float32()),
    pa.field("moon_masked", pa.string()),
)
DETECTION_SCHEMA = pa.schema(DETECTION_FIELDS)
CATALOGUE_COLUMNS = tuple(field.name for field in DETECTION_FIELDS)

SIDECAR_NAME = "neowise_se_flags_ALL.parquet"
SIDECAR_SCHEMA = pa.schema(
    [
        pa.field("opt_source_id", pa.string()),
        pa.field("opt_ra_deg", pa.float64()),
        pa.field("opt_dec_deg", pa.float64()),
        *DETECTION_FIELDS,
        pa.field("sep_arcsec", pa.float32()),
        pa.field("healpix_k5", pa.int32()),
    ]
)

CLOSEST_COLUMNS = (
    "row_id",
    "in_ra",
    "in_dec",
    "cntr",
    "ra",
    "dec",
    "mjd",
    "w1snr",
    "w2snr",
    "qual_frame",
    "qi_fact",
    "saa_sep",
    "moon_masked",
    "sep_arcsec",
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition on one number of a detection; what is missing or NaN does not fulfil it."""

    column: str
    fulfilled: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]]
    """Decides row by row."""
    excluded: Callable[[float, float], bool]
    """Whether no value from a minimum to a maximum can fulfil it."""


GATES = (
    Gate("qual_frame", lambda value: value > 0, lambda _low, high: high <= 0),
    Gate("qi_fact", lambda value: value > 0, lambda _low, high: high <= 0),
    Gate("saa_sep", lambda value: value > 0, lambda _low, high: high <= 0),
    Gate("w1snr", lambda value: value >= 5, lambda _low, high: high < 5),  # noqa: PLR2004 - the gate is the number
    Gate("mjd", lambda value: value <= LAST_MJD, lambda low, _high: low > LAST_MJD),
)

MOON_FREE = "00"
"""How an unmasked detection is written in every output."""
MOON_FREE_TEXTS = (MOON_FREE, "0")
"""How the catalogue may say it; as a number it is 0."""


def parse_cid(text: str) -> str:
    """Return the CID, five digits; ValueError for anything else."""
    if not _CID.fullmatch(text):
        raise ValueError(f"{text!r} is no CID; write five digits such as 02104")
    return text


def seed_path(cid: str) -> str:
    """Return where a CID's seed lies below the folder of all seeds."""
    return f"chunk_{cid}/part-{cid}.parquet"


def closest_name(cid: str) -> str:
    """Return the name of a CID's table of closest detections."""
    return f"positions{cid}_closest.csv"


def report_name(cid: str) -> str:
    """Return the name of the short report beside that table."""
    return f"positions{cid}_closest.qc.txt"
