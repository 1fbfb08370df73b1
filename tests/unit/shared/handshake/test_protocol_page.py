import json
import re
from pathlib import Path

import pytest

from shared.handshake.lease import LeaseState
from shared.handshake.summary import Summary
from tests.support.lease_model import follows
from tests.support.leasing import LAYOUT, RUNOUT, lease, manifest, report

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "protocol.md").read_text()
RECORDS = {
    "Lease": lease(LeaseState.COMMITTED).to_bytes(),
    "Manifest": manifest().to_bytes(),
    "Failure report": report().to_bytes(),
    "Summary": Summary("dispatcher", "prod", "now", {}).to_bytes(),
}


@pytest.mark.parametrize("record", RECORDS)
def test_page_names_every_field_and_no_other(record: str) -> None:
    """Somebody writes the other side from this page alone."""
    section = PAGE.split(f"### {record}\n")[1].split("\n#")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert named == set(json.loads(RECORDS[record]))


def test_page_names_every_state_and_place() -> None:
    """The same for states and keys."""
    for state in LeaseState:
        assert f"`{state}`" in PAGE
    for uri in (LAYOUT.leases, LAYOUT.failures, LAYOUT.summaries, LAYOUT.jobs, LAYOUT.runouts):
        assert f"`{uri.key.removeprefix(LAYOUT.prefix + '/')}" in PAGE


@pytest.mark.parametrize(
    ("before", "after"), [(a, b) for a in [None, *LeaseState] for b in LeaseState]
)
def test_page_tells_every_step_that_may_be_taken(
    before: LeaseState | None, after: LeaseState
) -> None:
    """Its table, the model of the tests and the code say the same."""
    rows = [line.split("|") for line in PAGE.split("| from | to |")[1].splitlines()[2:]]
    told = {(row[1].strip(), row[2].strip()) for row in rows if len(row) > 6}
    first = None if before is None else lease(before, runout=None)
    beat = 1 if first is None else first.beat + 1
    runout = RUNOUT if after is LeaseState.COMMITTED else None
    possible = any(
        follows(first, lease(after, beat=beat, generation=generation, attempts=n, runout=runout))
        for generation in (1, 3, 4)
        for n in (0, 1, 2)
    )

    assert ((before or "no lease", after) in told) is possible
