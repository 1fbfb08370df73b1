from pathlib import Path

import anyio
import pytest

from daemons.ingester.commands import each_site
from daemons.ingester.commands.each_site import at_each_site
from daemons.ingester.project.loading import Project, ProjectSite
from daemons.ingester.project.sites import Site, SiteProblem
from daemons.ingester.syncing.place import site_place
from shared.errors import PermanentError


def project(*site_ids: str, broken: str = "") -> Project:
    """Return a project of sites that have nothing but an id."""
    here = Path("/nowhere")
    problems = [SiteProblem(broken, here / "site.config.json", "is wrong")] if broken else []
    sites = [
        ProjectSite(Site(each, each, "", here, "", ()), site_place(each, "", here, here), None)
        for each in site_ids
    ]
    return Project(here, here, sites, problems, None)


@pytest.mark.asyncio
async def test_every_site_has_an_answer_whatever_becomes_of_the_others() -> None:
    """A report without a site reads as if that site were in order."""

    async def work(target: ProjectSite) -> int:
        if target.site.id == "bad":
            raise PermanentError("it is denied")
        if target.site.id == "disk":
            raise OSError("it is full")
        return len(target.site.id)

    answers = await at_each_site(project("good", "bad", "disk", broken="config"), work, at_once=2)

    assert [(each.site_id, each.found, each.error) for each in answers] == [
        ("bad", None, "it is denied"),
        ("config", None, "site 'config': '/nowhere/site.config.json': is wrong"),
        ("disk", None, "it is full"),
        ("good", 4, ""),
    ]


@pytest.mark.asyncio
async def test_no_more_sites_are_under_way_than_told() -> None:
    """Twenty sites at once would share one line and one disk."""
    now, most = 0, 0

    async def work(_target: ProjectSite) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.lowlevel.checkpoint()
        now -= 1

    await at_each_site(project(*"abcdefg"), work, at_once=3)

    assert most == 3


@pytest.mark.asyncio
async def test_whoever_waits_is_told_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function may compute for a quarter of an hour, and silence looks like a hang."""
    told = anyio.Event()
    lines = []

    class Log:
        def info(self, event: str, **fields: object) -> None:
            lines.append((event, fields))
            told.set()

    async def work(_target: ProjectSite) -> None:
        with anyio.fail_after(10):
            await told.wait()

    monkeypatch.setattr(each_site, "log", Log())
    monkeypatch.setattr(each_site, "_PROGRESS_SECONDS", 0.01)

    await at_each_site(project("slow"), work, at_once=1)

    assert lines[0] == ("sites_under_way", {"sites": ["slow"]})
