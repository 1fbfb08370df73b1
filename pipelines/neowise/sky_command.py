"""`towpath neowise sky`: a small catalogue, chunks and their true matches, to try things out."""

import csv
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from pipelines.neowise.disk import write_file
from pipelines.neowise.sky import DEMO_FIELDS, SkyPlan, Truth, chunk_csv, write_sky
from shared.errors import ExitStatus, UsageError
from shared.flags import OneLineParser


def run_sky(argv: Sequence[str]) -> int:
    """Write `catalogue/`, `chunks/` and `truth/` into a folder."""
    parser = OneLineParser(
        "towpath neowise sky",
        "Write a made-up catalogue in the real layout, chunks of positions, and the truth.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--detections", type=int, default=300_000, metavar="N", help="about as many"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="another seed, another sky"
    )
    arguments = parser.parse_args(list(argv))
    out: Path = arguments.out
    if arguments.detections < 1 or arguments.seed < 0:
        raise UsageError("--detections must be at least 1 and --seed at least 0")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{str(out)!r} is not empty; name a new folder")
    plan = SkyPlan(DEMO_FIELDS, background=arguments.detections, seed=arguments.seed)
    sky = write_sky(out / "catalogue", plan)
    for truth in sky.truths:
        write_file(out / "chunks" / f"positions_chunk_{truth.cid}.csv", chunk_csv(truth))
        write_file(out / "truth" / f"truth_{truth.cid}.csv", truth_csv(truth))
    years = ",".join(plan.years)
    sys.stdout.write(
        f"{sky.detections} detections in {sky.leaves} files, {len(sky.truths)} chunks\n"
        f"try: NEOWISE_YEARS={years} towpath neowise process --cid 00001"
        f" --chunk-csv {out}/chunks/positions_chunk_00001.csv"
        f" --catalogue {out}/catalogue --out {out}/results\n"
    )
    return ExitStatus.DONE


def truth_csv(truth: Truth) -> bytes:
    """Return what the closest detections are: row_id, cntr, sep_arcsec, matched positions only."""
    stream = StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("row_id", "cntr", "sep_arcsec"))
    for number in truth.matched.nonzero()[0].tolist():
        separation = f"{truth.separation_arcsec[number]:.9f}"
        writer.writerow((truth.ids[number], int(truth.cntr[number]), separation))
    return stream.getvalue().encode()
