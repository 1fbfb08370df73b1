"""Whether what came back is the known truth, row for row."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from pipelines.neowise.sky import Truth
from shared.handshake.layout import closest_name

_SEPARATION_ARCSEC = 1e-3
"""The table has ten digits of the degrees, and the separation as a 32-bit number."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the results say, against the truth."""

    rows: int
    without_match: int
    differences: Sequence[str]
    separations_arcsec: Sequence[float]


def compare(central: Path, truths: Mapping[str, Truth], cids: Sequence[str]) -> Comparison:
    """Read each result in the central folder and compare every row of it."""
    differences: list[str] = []
    separations: list[float] = []
    rows = lonely = 0
    for cid in cids:
        truth = truths[cid]
        path = central / closest_name(cid)
        if not path.is_file():
            differences.append(f"{path.name} is missing")
            continue
        with path.open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
        wanted = [number for number, matched in enumerate(truth.matched) if matched]
        lonely += len(truth.ids) - len(wanted)
        if [row["row_id"] for row in found] != [truth.ids[number] for number in wanted]:
            differences.append(f"{path.name} has other positions than the truth")
            continue
        for row, number in zip(found, wanted, strict=True):
            rows += 1
            separations.append(float(row["sep_arcsec"]))
            differences += _differences(path.name, row, truth, number)
    return Comparison(rows, lonely, differences, separations)


def _differences(name: str, row: Mapping[str, str], truth: Truth, number: int) -> list[str]:
    expected = {
        "in_ra": f"{truth.ra_deg[number]:.10g}",
        "in_dec": f"{truth.dec_deg[number]:.10g}",
        "cntr": str(int(truth.cntr[number])),
    }
    wrong = [
        f"{name} row {row['row_id']}: {column} is {row[column]}, true is {value}"
        for column, value in expected.items()
        if row[column] != value
    ]
    true = float(truth.separation_arcsec[number])
    if not isclose(float(row["sep_arcsec"]), true, abs_tol=_SEPARATION_ARCSEC):
        wrong.append(f"{name} row {row['row_id']}: {row['sep_arcsec']} arcsec, true is {true:.4f}")
    return wrong
