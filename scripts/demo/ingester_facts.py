"""What is to be seen when the story is over: in the runs, in AWS, in every file of every site."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.ingester.speech.srt import decode_srt, parse_srt
from scripts.demo.ingester_model import Listener
from scripts.demo.ingester_runs import Ended
from scripts.demo.ingester_shows import (
    FAIRPLAY,
    LABELLED,
    MISSPELT,
    NADD,
    SITES,
    SPELT,
    Show,
    shows_of,
)
from tests.support.aws_answers import Assumed, Invalidated, Invoked
from tests.support.ingest_checks import find_faults
from tests.support.ingest_world import IngestWorld
from tests.support.strict_s3.history import Mutation


@dataclass(frozen=True, slots=True)
class Ending:
    """What was seen of a plan and three runs."""

    planned: Ended
    plan_changed: bool
    """Whether the plan changed anything, anywhere."""
    killed: Ended
    finished: Ended
    idle: Ended
    idle_wrote: Sequence[str]
    """What the last run wrote, here, in S3 or in AWS."""
    written: Sequence[Mutation]
    """What the runs before it changed in S3."""
    fetched: Sequence[str]
    """The paths on the web that they asked for."""
    assumed: Sequence[Assumed]
    invoked: Sequence[Invoked]
    invalidated: Sequence[Invalidated]
    listener: Listener


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the sites' files afterwards."""

    files: int
    faults: Sequence[str]
    """What is not as an undisturbed run would have left it."""
    known: int
    """How many episodes were heard by one who knows what is said."""
    wrong: Sequence[str]
    """Those of them whose transcript in S3 says something else."""
    misspelt: bool
    labelled_cues: int


def find(world: IngestWorld, listener: Listener) -> Found:
    """Look into every file, here and in S3."""
    known = [
        (site.id, show)
        for site in SITES
        for show in shows_of(site.id)
        if show.known or not listener.is_model
    ]
    bodies = {site.id: _transcripts(world, site.id) for site in SITES}
    return Found(
        files=sum(len(world.local(site.id)) for site in SITES),
        faults=[
            f"{site.id}: {fault}"
            for site in SITES
            for fault in find_faults(world, site.id, killed=True)
        ],
        known=len(known),
        wrong=[show.title for site_id, show in known if not _is_said(show, bodies[site_id])],
        misspelt=any(MISSPELT.encode() in body for body in bodies[NADD.id].values()),
        labelled_cues=_labelled_cues(bodies[FAIRPLAY.id]),
    )


def _transcripts(world: IngestWorld, site_id: str) -> dict[str, bytes]:
    return {path: body for path, body in world.remote(site_id).items() if path.endswith(".srt")}


def _is_said(show: Show, transcripts: dict[str, bytes]) -> bool:
    expected = show.transcript.replace(MISSPELT.encode(), SPELT.encode())
    return [body for path, body in transcripts.items() if f"/{show.stem}--" in path] == [expected]


def _labelled_cues(transcripts: dict[str, bytes]) -> int:
    stem = next(show.stem for show in shows_of(FAIRPLAY.id) if show.title == LABELLED)
    found = [body for path, body in transcripts.items() if f"/{stem}--" in path]
    return sum(len(parse_srt(decode_srt(body)).cues) for body in found)
