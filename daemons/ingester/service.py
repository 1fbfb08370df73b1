"""One run over all chosen sites: side by side within bounds, each whatever becomes of the others.

| while a run goes on                 | then                                                       |
|-------------------------------------|------------------------------------------------------------|
| a site fails                        | the others go on; the failure is in the result             |
| a signal                            | everything is cancelled; the result says so and is kept    |
| a reload                            | the run is finished, and the next one has the new settings |
| another process runs on this data   | nothing is begun: `RunLocked`                              |

Sites, mappings and keys are read anew for each run. With a schedule, what is wrong with them costs
that run and not the daemon.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import structlog
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.sessions import open_central
from daemons.ingester.project.loading import Project, ProjectSite, load_project
from daemons.ingester.run_tools import RunTools
from daemons.ingester.runs.results import RunResult, SiteResult
from daemons.ingester.settings import Settings
from daemons.ingester.site_run import SiteRun
from daemons.ingester.speech.recognition import SpeechLimits
from daemons.ingester.speech.transcribe import Transcriber
from daemons.ingester.speech.transcribers import speech_work, transcriber_for
from daemons.ingester.speech.workspace import remove_dead_workspaces
from daemons.ingester.syncing.transfer import no_step
from daemons.ingester.web.addresses import parse_networks
from daemons.ingester.web.fetch import WebLimits, default_user_agent, open_web
from shared.errors import AlreadyRunning, SuiteError
from shared.files import ready_folder
from shared.lifecycle import Control, log_pass
from shared.lock import hold_lock

log: FilteringBoundLogger = structlog.get_logger()

AtRunEnd = Callable[[RunResult], Awaitable[None]]
NextRun = Callable[[datetime], datetime]
"""Given when a run may begin at the earliest, returns when it does; both aware."""


_LONGEST_REST_SECONDS = 60.0
_CLEAN_UP_SECONDS = 10.0


class RunLocked(AlreadyRunning):
    """Another run works on the same files."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run is given by whoever starts it."""

    state: Path
    environ: Mapping[str, str]
    at_run_end: AtRunEnd
    """Keeps the result: awaited also when the run was interrupted."""
    next_run: NextRun | None = None
    """With a schedule."""
    at_run_begin: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint
    """Awaited as soon as a run is alone on its files."""
    dry_run: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    step: Callable[[str], None] = no_step


class Ingester:
    """Does runs until told to stop, or one."""

    def __init__(self, settings: Settings, surroundings: Surroundings, control: Control) -> None:
        self._settings = settings
        self._surroundings = surroundings
        self._control = control

    async def run(self, control: Control) -> None:
        """Do a run whenever one is due, until the control says stop."""
        next_run, now = self._surroundings.next_run, self._surroundings.now
        while next_run is not None and not control.stopping.is_set():
            due = next_run(now())
            log.info("run_due", at=due.isoformat(timespec="seconds"))
            control.status(f"next run at {due:%Y-%m-%d %H:%M}")
            while (left := (due - now()).total_seconds()) > 0:
                # In steps: a clock that is set, or a machine that slept, must not delay a run.
                if await control.rest(min(left, _LONGEST_REST_SECONDS)):
                    return
            await self._run_as_scheduled()

    async def _run_as_scheduled(self) -> None:
        """Do a run; what stands in its way costs this one, and may be mended until the next."""
        started_at = anyio.current_time()
        try:
            result = await self.run_once()
        except SuiteError as error:
            for line in str(error).splitlines():
                log.error("run_failed", reason=line)  # noqa: TRY400 - the traceback says nothing more
        else:
            log_pass(result, seconds=anyio.current_time() - started_at)

    async def run_once(self) -> RunResult:
        """Do one run.

        Raises:
            UsageError: the project as a whole cannot run, or its data folder is not for us; nothing
                was begun.
            RunLocked: another process is at it.
        """
        project = await to_thread.run_sync(self._load)
        if self._surroundings.dry_run:
            return await self._run(project)
        await to_thread.run_sync(ready_folder, project.data.absolute(), "data folder")
        with _alone(project.data, self._surroundings.state):
            work = speech_work(project.data)
            await to_thread.run_sync(remove_dead_workspaces, work, self._surroundings.now())
            await self._surroundings.at_run_begin()
            return await self._run(project)

    def _load(self) -> Project:
        return load_project(
            self._settings.root,
            self._surroundings.state,
            wanted=self._settings.sites,
            environ=self._surroundings.environ,
            local_only=self._settings.local_only,
        )

    async def _run(self, project: Project) -> RunResult:
        """Run all sites, and keep the result whatever ends them."""
        started_at = self._surroundings.now()
        broken = [
            SiteResult(problem.site_id, problem.site_id, misconfigured=str(problem))
            for problem in project.problems
        ]
        for problem in project.problems:
            log.error("site_misconfigured", site=problem.site_id, reason=problem.message)
        results: list[SiteResult] = []
        finished = False
        try:
            finished = await self._run_sites(project, results)
        finally:
            result = RunResult(
                started_at,
                self._surroundings.now(),
                sorted([*broken, *results], key=lambda each: each.site_id),
                interrupted=not finished,
                dry_run=self._surroundings.dry_run,
            )
            with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
                await self._surroundings.at_run_end(result)
        return result

    async def _run_sites(self, project: Project, results: list[SiteResult]) -> bool:
        """Return whether all sites came to their end; False when a signal cut them short."""
        slots = anyio.Semaphore(self._settings.sites_at_once)
        finished = False

        async def run_site(tools: RunTools, target: ProjectSite) -> None:
            async with slots:
                run = SiteRun(
                    target,
                    self._settings,
                    tools,
                    self._surroundings.state,
                    dry_run=self._surroundings.dry_run,
                )
                results.append(run.result)
                await run.run()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_leaving, tasks.cancel_scope)
            async with self._open_tools(project) as tools, anyio.create_task_group() as sites:
                for target in project.sites:
                    sites.start_soon(run_site, tools, target)
            finished = True
            tasks.cancel_scope.cancel()
        return finished

    async def _cancel_when_leaving(self, scope: anyio.CancelScope) -> None:
        # Everything can be repeated, and a chunk of speech outlasts every grace.
        await self._control.leaving.wait()
        scope.cancel()

    @asynccontextmanager
    async def _open_tools(self, project: Project) -> AsyncIterator[RunTools]:
        settings = self._settings
        limits = WebLimits(
            user_agent=settings.user_agent or default_user_agent(),
            allowed=parse_networks(settings.allow_networks),
        )
        async with AsyncExitStack() as stack:
            web = await stack.enter_async_context(open_web(limits))
            central = None
            if project.keys is not None:
                opening = open_central(
                    project.keys,
                    endpoint_url=settings.endpoint_url,
                    progress=self._control.progress,
                )
                central = await stack.enter_async_context(opening)
            yield RunTools(
                web=web,
                central=central,
                transcriptions=anyio.CapacityLimiter(settings.transcriptions_at_once),
                transcriber_for=lambda target: self._transcriber(project, target),
                started_at=self._surroundings.now(),
                now=self._surroundings.now,
                alive=self._control.progress,
                step=self._surroundings.step,
            )

    def _transcriber(self, project: Project, target: ProjectSite) -> Transcriber:
        return transcriber_for(
            self._settings.root,
            project.data,
            target.site,
            self._surroundings.environ,
            limits=SpeechLimits(
                least_seconds=self._settings.speech_seconds_least,
                factor=self._settings.speech_factor,
            ),
            alive=self._control.progress,
        )


@contextmanager
def _alone(data: Path, state: Path) -> Iterator[None]:
    """Hold the lock on the data folder."""
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(data, notes=state, advice="wait until it has ended"))
        except AlreadyRunning as error:
            raise RunLocked(str(error)) from error
        yield
