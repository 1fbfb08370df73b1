"""The ingester's options. Names given in `Option(...)` are fixed: people have them in shells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemons.ingester.archive.folders import Folder
from daemons.ingester.cron import Schedule
from daemons.ingester.web.addresses import parse_networks
from shared.daemon_command import default_state_of
from shared.daemon_settings import BasicSettings
from shared.options import Option

_FOLDERS = ", ".join(folder.value for folder in Folder)
_LEVELS = {"trace": "debug", "warn": "warning"}
"""Names of levels that people know from elsewhere."""
_LEFT_OUT = (
    "local_only",
    "skip_pre_sync",
    "skip_rss_retrieval",
    "skip_audio_processing",
    "skip_search_entries",
    "skip_s3_sync",
    "skip_cloud_indexing",
    "skip_cloudfront_invalidation",
)
"""Switches that leave work undone; the gap report, which can be left out too, is none."""


class ProjectSettings(BasicSettings):
    """What every command of the ingester can be told: which project, and which of its sites."""

    root: Annotated[Path, Option(metavar="DIR", group="project")] = Field(
        default=Path(),
        description="The project: sites/, .env.automation, .site-account-mappings.json",
    )
    sites: Annotated[str | None, Option(metavar="A,B", group="project")] = Field(
        default=None, description="Only these sites; default: all that are configured"
    )
    profile: Annotated[
        str | None,
        Option(short="-p", env="AWS_PROFILE", metavar="PROFILE", group="AWS"),
    ] = Field(
        default=None,
        description="Credentials for metrics = cloudwatch only; the sites' roles are assumed with "
        "the keys in .env.automation",
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Option(
            env="LOG_LEVEL",
            group="state and log",
            allowed="one of trace, debug, info, warn, warning, error",
        ),
    ] = Field(
        default="info",
        description="Least severe event that is logged; LOG_LEVEL in .env.local beats the variable",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _our_name(cls, value: object) -> object:
        return plain_level(value)


class Settings(ProjectSettings):
    """Keep podcast sites in step with S3: fetch, transcribe, upload, have them indexed.

    Does one run and ends, or with --schedule one run whenever it is due.
    """

    schedule: Annotated[str | None, Option(metavar="CRON")] = Field(
        default=None,
        description="Run on, and do a run whenever this cron expression says, in local time",
    )
    timer: Annotated[str, Option(metavar="CALENDAR")] = Field(
        default="*-*-* 08:00:00",
        description="Without --schedule: when `towpath units install` has a timer do a run",
    )
    min_interval_hours: Annotated[float, Option(metavar="H")] = Field(
        default=0.0,
        ge=0,
        le=8760,
        description="End at once when the last complete run began less than so long ago",
    )
    local_only: bool = Field(
        default=False, description="Feeds, audio and transcripts only; needs no credentials"
    )
    skip_pre_sync: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Do not bring here what S3 has"
    )
    skip_consistency_check: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Leave the gap report out"
    )
    skip_rss_retrieval: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Fetch no feeds and no audio"
    )
    skip_audio_processing: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Transcribe nothing"
    )
    skip_search_entries: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Write no search entries"
    )
    skip_s3_sync: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Upload nothing"
    )
    skip_cloud_indexing: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Trigger no index; what was uploaded stays marked as pending"
    )
    skip_cloudfront_invalidation: Annotated[bool, Option(group="phases")] = Field(
        default=False, description="Leave the caches of the distribution alone"
    )
    sync_folders: Annotated[
        str | None,
        Option(metavar="A,B", group="phases", allowed=f"folders, separated by commas: {_FOLDERS}"),
    ] = Field(default=None, description="Keep only these folders in step; default: all of a site")
    index_mode: Annotated[Literal["cloud", "local", "none"], Option(group="indexing")] = Field(
        default="cloud",
        description="Who builds the index: the site's function, --index-command here, or nobody",
    )
    index_command: Annotated[tuple[str, ...], Option(group="indexing")] = Field(
        default=(),
        description="With --index-mode local: the program and its arguments; {site}, {root} and "
        "{index} are filled in",
    )
    force_index: Annotated[bool, Option(group="indexing")] = Field(
        default=False, description="Have the index built although nothing was uploaded"
    )
    wait_for_index: Annotated[float, Option(metavar="SECONDS", group="indexing")] = Field(
        default=0.0, ge=0, le=86400, description="Wait so long for the new index to appear in S3"
    )
    max_episodes: Annotated[int | None, Option(metavar="N", group="feeds")] = Field(
        default=None, ge=1, description="Look at the first N items of each feed only"
    )
    user_agent: Annotated[str | None, Option(metavar="TEXT", group="feeds")] = Field(
        default=None, description="Who we are to servers; default: browse-dot-show-ingest/VERSION"
    )
    allow_networks: Annotated[
        tuple[str, ...],
        Option(group="feeds", metavar="NETWORK", allowed="networks such as 10.0.0.0/8 or ::1"),
    ] = Field(
        default=(),
        description="Networks such as 10.0.0.0/8 that feeds may lead to although not public",
    )
    transcribe_limit: Annotated[int | None, Option(metavar="N", group="transcription")] = Field(
        default=None, ge=1, description="Transcribe at most N episodes of each site"
    )
    only_episode: Annotated[str | None, Option(metavar="TEXT", group="transcription")] = Field(
        default=None, description="Transcribe only episodes whose key contains this"
    )
    reapply_spelling_corrections: Annotated[bool, Option(group="transcription")] = Field(
        default=False, description="Correct the transcripts that are there, too"
    )
    prune_superseded: bool = Field(
        default=False, description="Delete older versions of an episode once the newer is complete"
    )
    sites_at_once: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=4, ge=1, le=64, description="Sites under way at once"
    )
    transcriptions_at_once: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=1, ge=1, le=64, description="Episodes transcribed at once, of all sites together"
    )
    speech_seconds_least: Annotated[float, Option(metavar="SECONDS", group="limits")] = Field(
        default=300.0, gt=0, le=86400, description="Least time limit for a chunk of audio"
    )
    speech_factor: Annotated[float, Option(metavar="X", group="limits")] = Field(
        default=3.0, gt=0, le=1000, description="Time limit for a chunk, in seconds for a second"
    )
    failure_hook: Annotated[tuple[str, ...], Option(group="state and log")] = Field(
        default=(),
        description="Program and arguments that are called when a run fails; it is given the "
        "summary's path and how many have failed in a row",
    )
    json_summary: Annotated[Path | None, Option(metavar="FILE", group="state and log")] = Field(
        default=None, description="Write the summary there as JSON, too"
    )

    @field_validator("sync_folders")
    @classmethod
    def _known_folders(cls, value: str | None) -> str | None:
        if value is not None:
            named = _folders(value)
            if not named:
                raise ValueError(f"it names no folder; allowed: {_FOLDERS}")
        return value

    @field_validator("user_agent")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        # A line end in a header would begin another header.
        if value is not None and not value.isprintable():
            raise ValueError("allowed: one line of text, without control characters")
        return value

    @field_validator("allow_networks")
    @classmethod
    def _known_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(value)
        return value

    @field_validator("schedule")
    @classmethod
    def _cron_expression(cls, value: str | None) -> str | None:
        if value is not None:
            Schedule(value)
        return value

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The folders named by --sync-folders; empty: all of a site."""
        return _folders(self.sync_folders or "")

    @property
    def confined_by(self) -> str:
        """The options with which a run leaves work undone, in one order; empty: it does it all."""
        flags = [f"--{name.replace('_', '-')}" for name in _LEFT_OUT if getattr(self, name)]
        chosen = set(self.folders)
        if chosen and chosen != set(Folder):
            flags.append("--sync-folders=" + ",".join(sorted(each.value for each in chosen)))
        if self.max_episodes is not None:
            flags.append(f"--max-episodes={self.max_episodes}")
        if self.only_episode:
            flags.append(f"--only-episode={self.only_episode}")
        return " ".join(flags)


def plain_level(value: object) -> object:
    """Return a level under our name for it; anything else as it is."""
    word = value.strip().lower() if isinstance(value, str) else value
    return _LEVELS.get(word, word) if isinstance(word, str) else value


def _folders(text: str) -> tuple[Folder, ...]:
    """Return the folders that a text names; ValueError for a name that is none."""
    return tuple(_folder(name.strip()) for name in text.split(",") if name.strip())


def _folder(name: str) -> Folder:
    try:
        return Folder(name)
    except ValueError:
        raise ValueError(f"{name!r} is no folder; allowed: {_FOLDERS}") from None


def state_folder(settings: ProjectSettings, environ: Mapping[str, str]) -> Path:
    """Return where the ingester keeps its state: one folder a project."""
    if settings.state_directory is not None:
        return settings.state_directory
    return default_state_of("ingester", settings.root, environ)
