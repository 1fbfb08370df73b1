"""What a recogniser is: a stretch of audio and a prompt go in, the text of an SRT file comes out.

| failure                                    | error                | what follows                 |
|--------------------------------------------|----------------------|------------------------------|
| program, model or key is missing           | UsageError           | nothing is begun             |
| this attempt failed, took too long, is odd | RecognitionFailed    | another attempt, then the    |
|                                            |                      | next run                     |
| it would fail again: too large, refused    | RecognitionRefused   | the next run                 |

Rule: when `recognise` has returned or raised, nothing that it started runs any more.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.errors import PermanentError, TransientError

_SECRET_NAME = re.compile(
    r"AWS_|TOWPATH_|.*(?:_KEY|_TOKEN|_SECRET|PASSWORD|PASSPHRASE|CREDENTIALS)$", re.IGNORECASE
)


class RecognitionFailed(TransientError):
    """There is no transcript of a chunk now."""


class RecognitionRefused(PermanentError):
    """There is no transcript of a chunk, and there will be none in this run."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The audio that is to be recognised: an episode, or a chunk of one."""

    audio: Path
    """Lies in a work folder, in which anything may be written."""
    file_key: str
    start_ms: int
    """Where it begins in the episode."""
    length_ms: int


class Recogniser(Protocol):
    """One way to have speech written down."""

    @property
    def name(self) -> str:
        """What it is called in settings, logs and messages."""

    async def check(self) -> None:
        """Make sure that it can work at all; UsageError names what is missing."""

    async def recognise(
        self, piece: Piece, *, prompt: str, limit_seconds: float, progress: Callable[[], None]
    ) -> str:
        """Return the text of an SRT file whose times begin with the piece.

        `progress` is called every second or so while it works.

        Raises:
            RecognitionFailed, RecognitionRefused: see the table above.
        """


def plain_environment(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment without secrets: who recognises speech needs no cloud."""
    return {name: value for name, value in environ.items() if not _SECRET_NAME.match(name)}


def plain_prompt(prompt: str) -> str:
    """Return a prompt as a program can be given it."""
    return prompt.replace("\0", " ")
