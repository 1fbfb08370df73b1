"""The command `towpath neowise`: which step, with what, and no decisions.

Exit statuses: 0 done, no match included · 2 bad input or usage, the job itself is at fault ·
3 no usable credentials · 6 catalogue or bucket unreachable or denied · 7 the disk is full or
broken · 1 unexpected. Only 2 and 1 speak against the job; 3, 6 and 7 may be over when it is tried
again.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.errors import ExitStatus, UsageError

# The rest is imported by the step that needs it: Arrow and SciPy take a second to load, and --help
# and errors of usage do not wait for them.
# ruff: noqa: PLC0415

SUMMARY = "find the closest NEOWISE detection of every position of a chunk"

_USAGE = """usage: towpath neowise [--help] STEP ...

Find the closest NEOWISE-R detection of every position of a chunk.

steps:
  seeds     turn a chunk's CSV into the Parquet seed of its CID
  sidecar   find the closest detection of every position of a seed folder
  closest   write the table of one CID's closest detections
  process   all of a CID in one command, on local or s3:// paths
  sky       write a made-up catalogue with chunks and their true matches, to try things out

`towpath neowise STEP --help` tells the options of one.
"""


def main(argv: Sequence[str]) -> int:
    """Run one step and return the exit status."""
    name = argv[0] if argv else "--help"
    if name in {"-h", "--help"}:
        sys.stdout.write(_USAGE)
        return ExitStatus.DONE
    step = _STEPS.get(name)
    if step is None:
        raise UsageError(f"unknown step {name!r}; steps are {', '.join(_STEPS)}")
    return step(list(argv[1:]))


def _seeds(argv: Sequence[str]) -> int:
    parser = _parser("seeds", "Turn a chunk's CSV into the Parquet seed of its CID.")
    _add_chunk_csv(parser)
    _add_cid(parser, required=True)
    parser.add_argument(
        "--out-dir",
        "--out",
        dest="out_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="chunk_<CID>/part-<CID>.parquet is written below this folder",
    )
    arguments = parser.parse_args(argv)
    from pipelines.neowise.closest import checked_cid
    from pipelines.neowise.seeds import write_seed

    written = write_seed(arguments.chunk_csv, checked_cid(arguments.cid), arguments.out_dir)
    sys.stdout.write(f"{written.path}: {written.rows} positions\n")
    return ExitStatus.DONE


def _sidecar(argv: Sequence[str]) -> int:
    from pipelines.neowise.settings import Settings
    from shared.settings import load_settings

    def add_flags(parser: argparse.ArgumentParser) -> None:
        parser.prog = "towpath neowise sidecar"
        _add_optical_root(parser)
        parser.add_argument(
            "--out-root",
            "--out",
            dest="out_root",
            type=Path,
            required=True,
            metavar="DIR",
            help="folder for neowise_se_flags_ALL.parquet, and for tmp/ with what is finished",
        )

    loaded = load_settings(Settings, argv, os.environ, service="neowise", extra=add_flags)
    settings, arguments = loaded.settings, loaded.arguments
    from pipelines.neowise.positions import load_positions
    from pipelines.neowise.search import search
    from shared.log import configure_logging

    configure_logging("neowise", level=settings.log_level, form=settings.log_form)
    positions = load_positions(arguments.optical_root)
    written = search(settings, positions, arguments.out_root)
    sys.stdout.write(
        f"{written.path}: {written.matched} of {written.positions} positions matched, "
        f"{written.pixels} pixels, {written.resumed} of them finished before\n"
    )
    return ExitStatus.DONE


def _closest(argv: Sequence[str]) -> int:
    parser = _parser("closest", "Write the table of one CID's closest detections.")
    parser.add_argument(
        "--sidecar-all",
        "--sidecar",
        dest="sidecar",
        type=Path,
        required=True,
        metavar="FILE",
        help="neowise_se_flags_ALL.parquet",
    )
    _add_optical_root(parser)
    _add_cid(parser, required=False)
    parser.add_argument(
        "--out-dir",
        "--out",
        dest="out_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for positions<CID>_closest.csv and .qc.txt",
    )
    parser.add_argument(
        "--row-id-float",
        action="store_true",
        help="write row_id as %%.16g where that is the same number",
    )
    arguments = parser.parse_args(argv)
    from pipelines.neowise.closest import checked_cid, write_closest

    cid = None if arguments.cid is None else checked_cid(arguments.cid)
    for written in write_closest(
        arguments.sidecar,
        arguments.optical_root,
        arguments.out_dir,
        cid=cid,
        row_id_float=arguments.row_id_float,
    ):
        sys.stdout.write(f"{written.table}: {written.rows} rows\n")
    return ExitStatus.DONE


def _process(argv: Sequence[str]) -> int:
    from pipelines.neowise.settings import Settings
    from shared.settings import load_settings

    loaded = load_settings(Settings, argv, os.environ, service="neowise", extra=_add_process_flags)
    settings, arguments = loaded.settings, loaded.arguments
    from pipelines.neowise.closest import checked_cid
    from pipelines.neowise.process import Job, process
    from shared.log import configure_logging

    configure_logging("neowise", level=settings.log_level, form=settings.log_form)
    job = Job(
        cid=checked_cid(arguments.cid),
        source=arguments.chunk_csv or arguments.seeds,
        is_csv=arguments.chunk_csv is not None,
        out=arguments.out,
        row_id_float=arguments.row_id_float,
        work_folder=arguments.work_dir,
    )
    for place in process(job, settings):
        sys.stdout.write(f"{place}\n")
    return ExitStatus.DONE


def _add_process_flags(parser: argparse.ArgumentParser) -> None:
    parser.prog = "towpath neowise process"
    _add_cid(parser, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--chunk-csv", "--tap-chunk-csv", dest="chunk_csv", metavar="PLACE", help="the chunk's CSV"
    )
    source.add_argument(
        "--seeds",
        "--optical-root",
        dest="seeds",
        metavar="PLACE",
        help="a folder or prefix of Parquet seeds, or one of them",
    )
    parser.add_argument(
        "--out",
        "--out-dir",
        dest="out",
        required=True,
        metavar="PLACE",
        help="folder or prefix for the results; a place is a path or s3://bucket/key",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        metavar="DIR",
        help="where to keep what a killed run has finished (default: a folder that is removed)",
    )
    parser.add_argument(
        "--row-id-float",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write row_id as %%.16g where that is the same number (default: on)",
    )


def _sky(argv: Sequence[str]) -> int:
    from pipelines.neowise.sky_command import run_sky

    return run_sky(argv)


def _parser(step: str, description: str) -> argparse.ArgumentParser:
    from shared.flags import OneLineParser

    return OneLineParser(f"towpath neowise {step}", description)


def _add_cid(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--cid", "--chunk-id", dest="cid", required=required, metavar="CID", help="five digits"
    )


def _add_chunk_csv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chunk-csv",
        "--tap-chunk-csv",
        "--csv",
        dest="chunk_csv",
        type=Path,
        required=True,
        metavar="FILE",
        help="the chunk's CSV with its positions",
    )


def _add_optical_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--optical-root",
        "--seeds",
        dest="optical_root",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of Parquet seeds",
    )


_STEPS: dict[str, Callable[[Sequence[str]], int]] = {
    "seeds": _seeds,
    "sidecar": _sidecar,
    "closest": _closest,
    "process": _process,
    "sky": _sky,
}
