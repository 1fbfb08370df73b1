"""Do something at each chosen site, some at once; what fails at one costs that one.

Rule: whoever looks at the log sees at least every half minute which sites are under way.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.project.loading import Project, ProjectSite
from shared.errors import SuiteError

log: FilteringBoundLogger = structlog.get_logger()

Found = TypeVar("Found")

_PROGRESS_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """What came of a site."""

    site_id: str
    found: Found | None
    error: str = ""
    """Why there is nothing, or no more than this."""


async def at_each_site(
    project: Project, work: Callable[[ProjectSite], Awaitable[Found]], *, at_once: int
) -> Sequence[Answer[Found]]:
    """Return an answer for every chosen site, by id; those that cannot run have their problem."""
    slots = anyio.CapacityLimiter(at_once)
    answers: list[Answer[Found]] = [
        Answer(each.site_id, None, str(each)) for each in project.problems
    ]
    under_way: list[str] = []

    async def ask(target: ProjectSite) -> None:
        site_id = target.site.id
        async with slots:
            under_way.append(site_id)
            try:
                answers.append(Answer(site_id, await work(target)))
            except (SuiteError, OSError) as error:
                answers.append(Answer(site_id, None, str(error)))
            finally:
                under_way.remove(site_id)

    over = anyio.Event()
    async with anyio.create_task_group() as around:
        around.start_soon(_tell, under_way, over)
        async with anyio.create_task_group() as sites:
            for target in project.sites:
                sites.start_soon(ask, target)
        over.set()
    return sorted(answers, key=lambda answer: answer.site_id)


async def _tell(under_way: Sequence[str], over: anyio.Event) -> None:
    """Say from time to time what is under way, until it is over."""
    while not over.is_set():
        with anyio.move_on_after(_PROGRESS_SECONDS):
            await over.wait()
        if not over.is_set():
            log.info("sites_under_way", sites=list(under_way))
