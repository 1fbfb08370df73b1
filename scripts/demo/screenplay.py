"""What the writer of the uploader's chapter does, and when. Pure: a scale in, a list of steps out.

The writer behaves as the coordinator of a distributed colony: pictures with stats beside, one now
and then and many at once, and every habit of writers that an uploader must cope with.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from scripts.demo.pictures import colony_picture
from scripts.demo.stage import ScaleName

ALIASED, PLAIN = "distributed_colony", "colony-archive"
BUCKETS: Mapping[str, str] = {ALIASED: "distributed-colony", PLAIN: "colony-archive"}
"""Folder below the root to bucket; the first name is none that S3 allows."""
SURGE_PREFIX = "images_shots/surge/"
BURST_PREFIXES = ("images_shots/first/", SURGE_PREFIX, "images_shots/last/")
LARGE_KEY = "snapshots/colony-state.bin"
LINK = f"{PLAIN}/latest-picture"
_MEBIBYTE = 1024 * 1024
_PIECES = 12
_BEGAN = datetime(2024, 11, 3, 10, 25, 30, tzinfo=UTC)
_ODD_NAMES = (
    "Ameisenhügel 50% größer + #1.txt",
    "what is 100%2F? a&b=c.txt",
    "蟻のコロニー, день 7.txt",
    "-leading dash.txt",
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything, and where in time the story turns."""

    seconds: float
    """How long the writer works."""
    picture_every_seconds: float
    burst: int
    """Pictures at once, early and late."""
    surge: int
    """Pictures at once when the daemon is killed."""
    unanswered: int
    """Requests of the surge whose commit never comes, and as many whose answer never comes."""
    large_bytes: int
    growth_seconds: float
    outage_seconds: float
    """How long the daemon stays dead."""

    @property
    def surge_at(self) -> float:
        """Seconds after the writer's start."""
        return 0.4 * self.seconds


SCALES: Mapping[ScaleName, Scale] = {
    "full": Scale(44.0, 0.5, 300, 240, 24, 24 * _MEBIBYTE, 6.0, 4.0),
    "small": Scale(5.0, 0.5, 30, 40, 5, 17 * _MEBIBYTE, 1.6, 0.5),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG."""

    seed: int

    def render(self) -> bytes:
        """Return the bytes."""
        return colony_picture(self.seed)


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers beside a picture."""

    seed: int

    def render(self) -> bytes:
        """Return the bytes."""
        chance = Random(self.seed)  # noqa: S311 - invented numbers
        ants = {f"colony_{index}": chance.randrange(10_000) for index in range(6)}
        return json.dumps({"moment": self.seed, "ants": ants}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes of a given number, such as a memory image."""

    seed: int
    size_bytes: int

    def render(self) -> bytes:
        """Return the bytes."""
        return Random(self.seed).randbytes(self.size_bytes)  # noqa: S311 - not a secret


Content = Picture | Stats | Noise


@dataclass(frozen=True, slots=True)
class Write:
    """Write a file in one go, under its own name."""

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class Append:
    """Add to a file that grows slowly; the last piece completes it."""

    path: str
    content: Content
    last: bool
    hold_open: bool
    """Keep it open from the first piece to the last."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Write a file under a temporary name."""

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class Publish:
    """Rename a prepared file into place."""

    temporary: str
    path: str


@dataclass(frozen=True, slots=True)
class Link:
    """Lay a symbolic link to the file `outside` beside the root."""

    path: str


Act = Write | Append | Prepare | Publish | Link


@dataclass(frozen=True, slots=True)
class Step:
    """One act and its moment."""

    at_seconds: float
    act: Act


def plan_writing(scale: Scale) -> Sequence[Step]:
    """Return the steps in the order of their moments; every content is a different one."""
    steps = [
        *_steady(scale),
        *_burst(0.18 * scale.seconds, BURST_PREFIXES[0], scale.burst, seed=100_000),
        *_burst(scale.surge_at, BURST_PREFIXES[1], scale.surge, seed=200_000),
        *_burst(0.82 * scale.seconds, BURST_PREFIXES[2], scale.burst, seed=300_000),
        *_growing(scale),
        *_replaced(scale),
        *_oddities(scale),
        Step(scale.surge_at, Write(f"{PLAIN}/{LARGE_KEY}", Noise(7, scale.large_bytes))),
    ]
    return sorted(steps, key=lambda step: step.at_seconds)


def files_in(steps: Sequence[Step]) -> int:
    """Count the contents that the steps complete."""
    return sum(
        isinstance(step.act, Write | Publish) or (isinstance(step.act, Append) and step.act.last)
        for step in steps
    )


def _steady(scale: Scale) -> Iterator[Step]:
    """One picture now and then, its stats beside it; nobody tells the writer of the outage."""
    for number in range(int(scale.seconds / scale.picture_every_seconds)):
        at = number * scale.picture_every_seconds
        name = (_BEGAN + timedelta(minutes=number)).strftime("%Y_%m_%d__%H_%M_%S")
        yield Step(at, Write(f"{ALIASED}/images_shots/{name}.png", Picture(number)))
        yield Step(at, Write(f"{ALIASED}/stats/{name}.json", Stats(number)))


def _burst(at: float, prefix: str, count: int, *, seed: int) -> Iterator[Step]:
    for number in range(count):
        yield Step(at, Write(f"{ALIASED}/{prefix}{number:04}.png", Picture(seed + number)))


def _growing(scale: Scale) -> Iterator[Step]:
    """Two files that grow for seconds: one opened anew for each piece, one held open."""
    pause = scale.growth_seconds / (_PIECES - 1)
    for number, hold_open in enumerate((False, True)):
        path = f"{PLAIN}/logs/run-{number}.dat"
        for piece in range(_PIECES):
            last = piece == _PIECES - 1
            content = Noise(1000 * (number + 1) + piece, 3000 + piece)
            at = 0.07 * scale.seconds + piece * pause
            yield Step(at, Append(path, content, last, hold_open))


def _replaced(scale: Scale) -> Iterator[Step]:
    """One name that gets another content twice, each time by renaming over it."""
    for number, moment in enumerate((0.03, 0.3, 0.8)):
        at = moment * scale.seconds
        temporary = f"{ALIASED}/stats/.latest.{number}.json"
        yield Step(at, Prepare(temporary, Stats(900_000 + number)))
        yield Step(at, Publish(temporary, f"{ALIASED}/stats/latest.json"))


def _oddities(scale: Scale) -> Iterator[Step]:
    early = 0.05 * scale.seconds
    yield Step(early, Link(LINK))
    for number, name in enumerate(_ODD_NAMES):
        yield Step(early, Write(f"{PLAIN}/odd names/{name}", Noise(500 + number, 700)))
    # A folder that did not exist, four levels of it, and the file in it at once: the event for the
    # file is as good as always lost.
    for number, at in enumerate((0.1 * scale.seconds, scale.surge_at + 1.5)):
        path = f"{PLAIN}/new/{number}/and/deeper/still/{number}.bin"
        yield Step(at, Write(path, Noise(600 + number, 5000)))
    # Written under a temporary name, renamed later than the stability time: from that moment on
    # it counts as settled.
    temporary = f"{PLAIN}/tables/population.csv.part"
    yield Step(early, Prepare(temporary, Noise(800, 40_000)))
    yield Step(early + 1.3, Publish(temporary, temporary.removesuffix(".part")))
