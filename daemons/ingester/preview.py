"""Look without touching: what a run would do (`--plan`, `--dry-run`), and whether it could."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from anyio import to_thread

from daemons.ingester.account.sessions import Central, open_central
from daemons.ingester.project.loading import Project, ProjectSite, load_project
from daemons.ingester.records import print_summary
from daemons.ingester.runs.results import RunResult
from daemons.ingester.service import Ingester, Surroundings
from daemons.ingester.settings import Settings
from daemons.ingester.speech.transcribers import transcriber_for
from shared.checks import Check, check_folder, check_program, shown, write_checks
from shared.errors import ExitStatus, SuiteError, UsageError
from shared.lifecycle import Control
from shared.s3.uri import S3Uri
from shared.systemd import Notifier


async def show_plan(settings: Settings, state_folder: Path) -> ExitStatus:
    """List S3, fetch feeds, and print a line for each thing that a run would do."""

    async def write(result: RunResult) -> None:
        for site in result.sites:
            for line in site.planned:
                sys.stdout.write(f"{site.site_id}\t{shown(line)}\n")
        print_summary(result)

    surroundings = Surroundings(state_folder, os.environ, write, dry_run=True)
    result = await Ingester(settings, surroundings, Control(Notifier({}))).run_once()
    return result.status


async def run_checks(settings: Settings, state_folder: Path) -> ExitStatus:
    """Print whether sites, folders, programs, keys and roles are in order."""
    project = await to_thread.run_sync(_load, settings, state_folder)
    here = await to_thread.run_sync(lambda: list(_check_here(settings, project)))
    speech: list[Check] = []
    if not settings.skip_audio_processing:
        speech = [await _check_recogniser(settings, project, each) for each in project.sites]
    local = write_checks([Check("settings", ""), *here, *speech])
    if project.keys is None:
        return local
    async with open_central(project.keys, endpoint_url=settings.endpoint_url) as central:
        refused = write_checks([await _check_keys(central)])
        if refused:
            # No role would be given to such keys: one line says it better than twenty.
            return refused
        roles = [await _check_site(central, target) for target in project.sites]
    return write_checks(roles) or local


def _load(settings: Settings, state_folder: Path) -> Project:
    return load_project(
        settings.root,
        state_folder,
        wanted=settings.sites,
        environ=os.environ,
        local_only=settings.local_only,
    )


def _check_here(settings: Settings, project: Project) -> Iterator[Check]:
    """Yield what is found on this machine."""
    for problem in project.problems:
        for line in problem.message.splitlines():
            yield Check(f"site {problem.site_id}", str(problem.file), line)
    yield check_folder("data", project.data)
    yield check_folder("state", project.state)
    if not settings.skip_audio_processing:
        for name in ("ffprobe", "ffmpeg"):
            yield check_program(name, name, settings.root)
    for name, command in (("index", settings.index_command), ("hook", settings.failure_hook)):
        if command:
            yield check_program(name, command[0], Path.cwd())


async def _check_recogniser(settings: Settings, project: Project, target: ProjectSite) -> Check:
    """Look whether a site's recogniser could begin, as the run looks before the first episode."""
    name = f"speech {target.site.id}"
    try:
        transcriber = await to_thread.run_sync(
            transcriber_for, settings.root, project.data, target.site, os.environ
        )
        await transcriber.check()
    except UsageError as error:
        return Check(name, "", str(error).replace("\n", "; "))
    return Check(name, "")


async def _check_keys(central: Central) -> Check:
    try:
        return Check("keys", await central.check())
    except SuiteError as error:
        return Check("keys", "", str(error), ExitStatus.CREDENTIALS)


async def _check_site(central: Central, target: ProjectSite) -> Check:
    """Assume the role of a site, and list its bucket."""
    name = f"role {target.site.id}"
    if target.mapping is None:
        return Check(name, "")
    where = f"account {target.mapping.account_id}, bucket {target.mapping.bucket_name}"
    try:
        async with central.site(target.site.id, target.mapping, step="check") as account:
            async for _ in account.store.pages(S3Uri(target.mapping.bucket_name, "rss/")):
                break
    except SuiteError as error:
        return Check(name, where, str(error), ExitStatus.UNREACHABLE)
    return Check(name, where)
