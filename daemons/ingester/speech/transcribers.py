"""The transcriber of a site: the recogniser its variables name, and where work and locks lie.

Both are beside the mirror: workers on several machines that share the files see each other's locks,
and a finished transcript needs only a new name.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from daemons.ingester.project.sites import Site, processing_variables
from daemons.ingester.speech.providers import choose_recogniser
from daemons.ingester.speech.recognition import SpeechLimits
from daemons.ingester.speech.transcribe import Transcriber


def speech_work(data: Path) -> Path:
    """Return where recognition keeps files that come and go."""
    return data / "work" / "speech"


def transcriber_for(
    root: Path,
    data: Path,
    site: Site,
    environ: Mapping[str, str],
    *,
    limits: SpeechLimits | None = None,
    alive: Callable[[], None] = lambda: None,
) -> Transcriber:
    """Return the transcriber of a site; UsageError where its variables name no recogniser."""
    return Transcriber(
        choose_recogniser(processing_variables(root, site, environ), root),
        work=speech_work(data),
        locks=data / "work" / "locks" / site.id,
        limits=limits,
        alive=alive,
    )
