"""The phases from audio to search entries, in a process that dies at a step.

`python -m tests.support.speech_kill GROUND...` runs them on each ground in a child of its own, the
first of which is killed at the first step, the second at the second. It writes a line for each:
the step's name, or `done` where there were fewer.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from daemons.ingester.phases.correcting import reapply_all
from daemons.ingester.phases.entries import write_entries
from daemons.ingester.phases.speech import transcribe_site
from tests.support.speech_ground import Listener, SpeechGround

HEARD = "heard.txt"
"""In a ground's folder: the keys that were recognised, a line each, by all runs together."""
REACHED = "reached.txt"
"""The step at which it was killed."""


async def run_phases(
    ground: SpeechGround, step: Callable[[str], None] = lambda _name: None
) -> None:
    """Do what a run does with a site's audio."""

    def note(key: str) -> None:
        with (ground.base / HEARD).open("a") as stream:
            stream.write(f"{key}\n")

    with anyio.fail_after(30):
        await transcribe_site(
            ground.site,
            ground.place,
            lambda: ground.transcriber(Listener(meanwhile=note)),
            slots=anyio.CapacityLimiter(1),
            step=step,
        )
        await reapply_all(ground.site, ground.place, step=step)
        await write_entries(ground.site, ground.place, step=step)


def die_at(ground: SpeechGround, number: int) -> Callable[[str], None]:
    """Return a step that is the last one, the `number`th time that it is called."""
    left = number

    def step(name: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            (ground.base / REACHED).write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def main(folders: list[str]) -> None:
    """Run the phases on each ground."""
    for number, folder in enumerate(folders, start=1):
        ground = SpeechGround(Path(folder))
        # Each child loads nothing anew, and no loop or thread has begun here.
        child = os.fork()
        if child == 0:
            anyio.run(run_phases, ground, die_at(ground, number))
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
