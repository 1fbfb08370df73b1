"""A demonstration that could not notice a wrong row would prove nothing."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.neowise.sky import Truth
from scripts.demo.matches import compare

_HEADER = "row_id,in_ra,in_dec,cntr,sep_arcsec\n"
_GOOD = "7,10.5,-0.25,42,1.25\n"
_TRUTH = {
    "00001": Truth(
        cid="00001",
        ids=("7", "8"),
        ra_deg=np.array([10.5, 11.0]),
        dec_deg=np.array([-0.25, 0.0]),
        matched=np.array([True, False]),
        cntr=np.array([42, -1]),
        separation_arcsec=np.array([1.25, np.nan]),
    )
}


def test_the_truth_has_no_differences(tmp_path: Path) -> None:
    """A position without a match has no row."""
    (tmp_path / "positions00001_closest.csv").write_text(_HEADER + _GOOD)

    found = compare(tmp_path, _TRUTH, ["00001"])

    assert (found.rows, found.without_match, found.differences) == (1, 1, [])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(_HEADER, id="row lost"),
        pytest.param(_HEADER + _GOOD + "8,11,0,43,2\n", id="row too many"),
        pytest.param(_HEADER + "7,10.5,-0.25,43,1.25\n", id="another detection"),
        pytest.param(_HEADER + "7,10.6,-0.25,42,1.25\n", id="another position"),
        pytest.param(_HEADER + "7,10.5,-0.25,42,1.26\n", id="another separation"),
    ],
)
def test_whatever_is_not_the_truth_is_a_difference(tmp_path: Path, content: str | None) -> None:
    """Row for row, and column for column."""
    if content is not None:
        (tmp_path / "positions00001_closest.csv").write_text(content)

    assert compare(tmp_path, _TRUTH, ["00001"]).differences
