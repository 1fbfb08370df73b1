"""A forest with three cameras and what walks through it: the truth that a run has to find. Pure.

| camera      | its clock                                       | its position              |
|-------------|-------------------------------------------------|---------------------------|
| kilsbergen  | two minutes fast, in summer time                | in its pictures           |
| tiveden     | right, but on winter time all year              | in the configuration      |
| bergslagen  | an hour and a half slow from the 14th to the    | in its pictures           |
|             | 17th, after its battery was changed; writes UTC |                           |
|             | offsets                                         |                           |
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_MONTH, _FIRST_DAY, _DAYS = 6, 10, 10
"""In summer, when winter time is wrong."""
_SLOW_FROM, _SLOW_UNTIL = 14, 17
_SUMMER = timedelta(hours=2)
_WINTER = timedelta(hours=1)
_APART = timedelta(minutes=25)
"""Between two visits to a camera: more than what makes them one sighting."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A trail camera."""

    name: str
    make: str
    latitude: float
    longitude: float
    has_gps: bool
    stand: str = ""
    """What people call the place."""
    writes_offset: bool = False


CAMERAS = (
    Camera("kilsbergen", "Reconyx", 59.3182, 14.8514, has_gps=True, stand="The ridge"),
    Camera("tiveden", "Bushnell", 58.7206, 14.6071, has_gps=False, stand="Bear moss"),
    Camera("bergslagen", "Browning", 59.8654, 15.0127, has_gps=True, writes_offset=True),
)
KINDS = ("moose", "roe_deer", "fox")
"""In the order of the detector's classes; a person is the fourth."""
PERSON = "person"


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: when it was really taken, and what is on it."""

    camera: Camera
    at: datetime
    """UTC."""
    kind: str = ""
    """Who is on it; nobody, mostly."""

    @property
    def clock(self) -> datetime:
        """What the camera's clock showed, without a zone."""
        return clock_of(self.camera, self.at)

    @property
    def offset(self) -> str | None:
        """The offset that the camera wrote beside it."""
        return "+02:00" if self.camera.writes_offset else None


@dataclass(frozen=True, slots=True)
class Visit:
    """An animal in front of a camera, for some pictures."""

    shots: Sequence[Shot]

    @property
    def camera(self) -> Camera:
        """Where it was."""
        return self.shots[0].camera

    @property
    def kind(self) -> str:
        """Who it was."""
        return self.shots[0].kind

    @property
    def begin(self) -> datetime:
        """When the first picture was taken."""
        return self.shots[0].at

    @property
    def end(self) -> datetime:
        """When the last one was."""
        return self.shots[-1].at


@dataclass(frozen=True, slots=True)
class Forest:
    """What happened in ten days of June."""

    visits: Sequence[Visit]
    people: Sequence[Shot]
    quiet: Sequence[Shot]

    @property
    def shots(self) -> Sequence[Shot]:
        """All of them in the order of their time."""
        seen = [shot for visit in self.visits for shot in visit.shots]
        return sorted(
            (*seen, *self.people, *self.quiet), key=lambda shot: (shot.at, shot.camera.name)
        )


def clock_of(camera: Camera, at: datetime) -> datetime:
    """Return what a camera's clock shows at a moment (UTC)."""
    if camera.name == "kilsbergen":
        wrong = _SUMMER + timedelta(seconds=120)
    elif camera.name == "tiveden":
        wrong = _WINTER
    else:
        slow = _SLOW_FROM <= at.day < _SLOW_UNTIL
        wrong = _SUMMER - (timedelta(minutes=90) if slow else timedelta())
    return (at + wrong).replace(tzinfo=None)


def grow_forest(now: datetime, *, visits: int, quiet: int) -> Forest:
    """Let animals come by, so many times to each camera, in the June before `now`."""
    chance = random.Random(1735)  # noqa: S311 - the same forest each time
    today = now.astimezone(UTC).date()
    year = today.year if today > date(today.year, _MONTH, _FIRST_DAY + _DAYS) else today.year - 1
    first = datetime(year, _MONTH, _FIRST_DAY, tzinfo=UTC)
    came: list[Visit] = []
    people: list[Shot] = []
    still: list[Shot] = []
    for camera in CAMERAS:
        slots = _moments(chance, first, visits + quiet + 1)
        came += [_visit(chance, camera, at, number) for number, at in enumerate(slots[:visits])]
        people.append(Shot(camera, slots[visits], PERSON))
        still += [Shot(camera, at) for at in slots[visits + 1 :]]
    return Forest(came, people, still)


def _moments(chance: random.Random, first: datetime, count: int) -> list[datetime]:
    """Choose moments that are apart, and more of them at dusk and dawn than at noon."""
    moments = [first + step * _APART for step in range(int(timedelta(days=_DAYS) / _APART))]
    weights = [_liveliness(moment) for moment in moments]
    chosen: dict[datetime, None] = {}
    while len(chosen) < count:
        chosen.setdefault(chance.choices(moments, weights)[0])
    return [moment + timedelta(seconds=chance.randrange(240)) for moment in chosen]


def _liveliness(moment: datetime) -> int:
    # A clock that loses time shows these hours twice, and no rule could tell which is meant.
    if moment.day == _SLOW_FROM - 1 and moment.hour >= 22:  # noqa: PLR2004 - by the table above
        return 0
    if moment.hour in {1, 2, 3, 19, 20, 21, 22}:
        return 6
    return 2 if moment.hour in {0, 4, 5, 23} else 1


def _visit(chance: random.Random, camera: Camera, at: datetime, number: int) -> Visit:
    kind = KINDS[(number + chance.randrange(2)) % len(KINDS)]
    moments = [at + timedelta(seconds=20 * step) for step in range(chance.randrange(1, 5))]
    return Visit([Shot(camera, moment, kind) for moment in moments])
