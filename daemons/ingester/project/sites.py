"""The sites: found below `sites/`, each whole or with its mistakes named, none in another's way.

| `sites/my-sites`                    | used                                                       |
|-------------------------------------|------------------------------------------------------------|
| holds a site that can be loaded     | its sites; `sites/origin-sites` is not looked at           |
| holds none, or is not there         | `sites/origin-sites`; broken ones of both are reported     |

A broken site is a problem of that site; the others run. A site that nobody knows is a mistake in
the command, and nothing runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemons.ingester.project.files import read_object, read_variables
from daemons.ingester.project.site_config import (
    PodcastConfig,
    SiteConfig,
    Status,
    parse_site_config,
)
from shared.errors import UsageError

CONFIG_NAME = "site.config.json"
CORRECTIONS_NAME = "spelling-corrections.json"
_FAMILIES = ("my-sites", "origin-sites")
_SKIPPED = "node_modules"


@dataclass(frozen=True, slots=True)
class Podcast:
    """A podcast of a site."""

    id: str
    title: str
    feed_url: str
    feed_file: str
    """Its name in `rss/`."""
    active: bool
    """Whether its feed is fetched; its archive is kept either way."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site whose configuration is whole."""

    id: str
    title: str
    domain: str
    folder: Path
    prompt: str
    """Introduces the show to the recogniser, names spelt correctly."""
    podcasts: tuple[Podcast, ...]
    """In the order of the configuration, in which feeds are processed."""

    @property
    def corrections(self) -> tuple[Path, ...]:
        """Files of spelling corrections in the order of use; they need not exist.

        The site's own, then the one that all sites beside it share.
        """
        return self.folder / CORRECTIONS_NAME, self.folder.parent / CORRECTIONS_NAME


@dataclass(frozen=True, slots=True)
class SiteProblem:
    """A site that cannot run, and why: a line for each mistake."""

    site_id: str
    """The name of its folder."""
    file: Path
    message: str

    def __str__(self) -> str:
        lines = self.message.splitlines()
        return "\n".join(f"site {self.site_id!r}: {str(self.file)!r}: {line}" for line in lines)


@dataclass(frozen=True, slots=True)
class Sites:
    """What was found, by id."""

    sites: tuple[Site, ...]
    problems: tuple[SiteProblem, ...] = ()

    @property
    def known_ids(self) -> tuple[str, ...]:
        """Every id that may be asked for, those of broken sites too."""
        ids = {site.id for site in self.sites} | {problem.site_id for problem in self.problems}
        return tuple(sorted(ids))


def load_sites(root: Path) -> Sites:
    """Find and check the sites of a project; UsageError where there is not one, good or bad."""
    problems: list[SiteProblem] = []
    for family in _FAMILIES:
        found = _load_family(root / "sites" / family)
        problems += found.problems
        if found.sites:
            return Sites(found.sites, tuple(problems))
    if not problems:
        raise UsageError(
            f"no site below {str(root / 'sites')!r}; a site is {_FAMILIES[0]}/<id>/{CONFIG_NAME}"
        )
    return Sites((), tuple(problems))


def choose_sites(found: Sites, wanted: str | None) -> Sites:
    """Keep the sites that `--sites` names, all without it; UsageError for one that is not known."""
    if wanted is None:
        return found
    ids = {name.strip() for name in wanted.split(",")} - {""}
    known = ", ".join(found.known_ids)
    if not ids:
        raise UsageError(f"--sites {wanted!r} names no site; known: {known}")
    if unknown := sorted(ids - set(found.known_ids)):
        names = ", ".join(map(repr, unknown))
        raise UsageError(f"--sites names {names}, which is not known; known: {known}")
    return Sites(
        tuple(site for site in found.sites if site.id in ids),
        tuple(problem for problem in found.problems if problem.site_id in ids),
    )


def processing_variables(root: Path, site: Site, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return what steers the processing of a site: its files, then the root's, then `environ`."""
    return {
        **environ,
        **read_variables(root / ".env.local"),
        **read_variables(site.folder / ".env.aws-sso"),
        **read_variables(site.folder / ".env.local"),
    }


def _load_family(folder: Path) -> Sites:
    sites: list[Site] = []
    problems: list[SiteProblem] = []
    for name in _folder_names(folder):
        path = folder / name / CONFIG_NAME
        try:
            document = read_object(path)
            if document is not None:
                sites.append(_site(parse_site_config(document, name), path.parent))
        except (UsageError, ValueError) as error:
            # What cannot be read names its file already, for those who read it alone.
            message = str(error).removeprefix(f"{str(path)!r} ")
            problems.append(SiteProblem(name, path, message))
    return Sites(tuple(sites), tuple(problems))


def _folder_names(folder: Path) -> Sequence[str]:
    try:
        return sorted(
            each.name for each in folder.iterdir() if each.is_dir() and each.name != _SKIPPED
        )
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be listed: {error.strerror}") from error


def _site(config: SiteConfig, folder: Path) -> Site:
    return Site(
        id=config.id,
        title=config.app_header.primary_title,
        domain=config.domain,
        folder=folder,
        prompt=config.whisper_transcription_prompt,
        podcasts=tuple(_podcast(each) for each in config.included_podcasts),
    )


def _podcast(config: PodcastConfig) -> Podcast:
    return Podcast(
        id=config.id,
        title=config.title,
        feed_url=config.url,
        feed_file=config.rss_feed_file,
        active=config.status is Status.ACTIVE,
    )
