"""Three podcast sites in two accounts: what is published, what is said, and what is there already.

| site           | account | before the first run                                       |
|----------------|---------|------------------------------------------------------------|
| hardfork       | B       | nothing anywhere: all of it is new, one episode very long  |
| listenfairplay | B       | an archive here that S3 never got; two feeds, the same show|
| naddpod        | A       | an archive in S3 that this machine never got               |
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from daemons.ingester.archive.keys import cut_slug, utc_date
from daemons.ingester.speech.srt import Cue, render_srt
from scripts.demo.ingester_speech import Spoken, speak
from tests.support.ingest_feed import Published
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.mp3 import silent_mp3

LABELLED = "Heard by a tiny model where there is one"
LONG = "The long night on the cut"
MISSPELT, SPELT = "turdice", "turdis"
_LONG_SECONDS = 20.5 * 60
_LONG_EVERY_MS = 41_000

FORK = SiteSetup("hardfork", ACCOUNT_B, ("hard-fork",), distribution="E1HARDFORK")
FAIRPLAY = SiteSetup("listenfairplay", ACCOUNT_B, ("football-cliches", "for-our-sins"))
NADD = SiteSetup(
    "naddpod",
    ACCOUNT_A,
    ("not-another-d-and-d-podcast",),
    distribution="E2NADDPOD",
    corrections={MISSPELT: SPELT},
)
SITES = (FORK, FAIRPLAY, NADD)


@dataclass(frozen=True)
class Show(Published):
    """An episode and every word of it."""

    sentences: tuple[str, ...] = ()
    """None: it is long and silent, but for a line now and then."""
    known: bool = True
    """Whether the double hears it in any case, and the transcript must be what is said."""

    @cached_property
    def spoken(self) -> Spoken:
        """Its audio and its cues."""
        if self.sentences:
            return speak(self.sentences, self.title)
        return Spoken(silent_mp3(self.seconds, self.title), tuple(_now_and_then(self.seconds)))

    @property
    def body(self) -> bytes:
        """Its audio."""
        return self.spoken.mp3

    @property
    def cues(self) -> tuple[Cue, ...]:
        """What is said."""
        return self.spoken.cues

    @property
    def stem(self) -> str:
        """Its file key without the time of its download."""
        return f"{utc_date(self.at)}_{cut_slug(self.title)}"

    @property
    def transcript(self) -> bytes:
        """What its transcript must be, as it is spelt by whoever listens."""
        return render_srt(self.cues).encode()


_FORK, _CLICHES, _SINS, _NADD = (*FORK.podcasts, *FAIRPLAY.podcasts, *NADD.podcasts)

NEW: Mapping[str, Sequence[Show]] = {
    FORK.id: (
        Show(
            _FORK,
            "What's a canal?",
            0,
            sentences=(
                "Welcome back to the towpath, the show that moves at four miles an hour.",
                "Today we ask what a canal is, and why nobody has to watch it.",
                "It is a river that somebody has tested.",
            ),
        ),
        # Newest first: when this one is heard, another one has been.
        Show(_FORK, LONG, 3, seconds=_LONG_SECONDS),
        Show(
            _FORK,
            "1984",
            7,
            sentences=(
                "A title that is a number is still a title.",
                "In nineteen eighty four the last horse boat left this wharf.",
            ),
        ),
    ),
    FAIRPLAY.id: (
        Show(
            _CLICHES,
            LABELLED,
            21,
            sentences=(
                "A model hears this, where there is one.",
                "What it makes of it means nothing.",
            ),
            known=False,
        ),
    ),
    NADD.id: (
        Show(
            _NADD,
            "The dungeon under the lock",
            9,
            sentences=(
                f"You open the sluice, and behind it stands a {MISSPELT}.",
                "Roll for initiative, and mind the paddle gear.",
            ),
        ),
    ),
}
"""What no run has seen."""
OLD: Mapping[str, Sequence[Show]] = {
    FORK.id: (),
    FAIRPLAY.id: (
        Show(_CLICHES, "A game of two halves", 1, sentences=("It is a game of two halves.",)),
        Show(_CLICHES, "Early doors", 8, sentences=("We knew that early doors.",)),
    ),
    NADD.id: (
        Show(_NADD, "Session zero", 2, sentences=("Everybody makes a character.",)),
        Show(_NADD, "The tavern", 5, sentences=("You meet in a tavern, of course.",)),
    ),
}
"""What an earlier run has done, here or elsewhere."""


def shows_of(site_id: str) -> Sequence[Show]:
    """Return all episodes of a site, each once."""
    return [*OLD[site_id], *NEW[site_id]]


def republished() -> Sequence[Published]:
    """Return what the second feed of a site says anew, with audio of its own."""
    return [
        Published(_SINS, show.title, show.day, guid=f"again/{show.day}")
        for show in OLD[FAIRPLAY.id]
    ]


def speak_all() -> tuple[int, float]:
    """Make every episode; returns how many there are, and their seconds in all."""
    shows = [show for site in SITES for show in shows_of(site.id)]
    with ThreadPoolExecutor(2) as pool:
        seconds = list(pool.map(lambda show: show.spoken.seconds, shows))
    return len(shows), sum(seconds)


def _now_and_then(seconds: float) -> Sequence[Cue]:
    starts = range(500, int(seconds * 1000) - 2000, _LONG_EVERY_MS)
    return [Cue(at, at + 1750, f"Still dark at second {at // 1000}.") for at in starts]
