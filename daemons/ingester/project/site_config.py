"""`site.config.json`: what the ingester reads of it, and how a mistake in it is told.

Fields that only the web page reads are not looked at, and unknown ones are nobody's business: a
newer page must not stop the archive. Rule: every mistake is a line with the field and the value.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from daemons.ingester.project.wording import matching, sentence_of

_SITE_ID = re.compile(r"[a-z][a-z-]{0,31}")
_PODCAST_ID = re.compile(r"[a-z_-]{1,64}")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_FEED_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}\.xml")


class Status(Enum):
    """Whether a podcast's feed is fetched."""

    ACTIVE = "active"
    INACTIVE = "inactive"


def _feed_url(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
    except ValueError as error:
        raise ValueError(f"allowed: a URL; {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("allowed: an http or https URL")
    return value.strip()


_Text = Annotated[str, StringConstraints(min_length=1)]


class _Part(BaseModel):
    """A JSON object of which some fields are read, each in the type that it was written in."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", alias_generator=to_camel, validate_default=True
    )


class PodcastConfig(_Part):
    """One entry of `includedPodcasts`."""

    id: Annotated[str, matching(_PODCAST_ID, "1 to 64 of a-z, '_' and '-'")]
    rss_feed_file: Annotated[str, matching(_FEED_FILE, "a plain file name that ends in '.xml'")]
    title: _Text
    status: Annotated[Status, Field(strict=False)]
    url: Annotated[str, AfterValidator(_feed_url)]


class AppHeader(_Part):
    """What the page's head shows."""

    primary_title: Annotated[str, StringConstraints(min_length=1, max_length=40)]


class SiteConfig(_Part):
    """What the ingester reads of a site's configuration."""

    id: Annotated[str, matching(_SITE_ID, "1 to 32 of a-z and '-', a letter first")]
    domain: Annotated[str, matching(_DOMAIN, "a domain such as 'hardfork.browse.show'")]
    app_header: AppHeader
    included_podcasts: Annotated[list[PodcastConfig], Field(min_length=1)]
    whisper_transcription_prompt: _Text

    @model_validator(mode="after")
    def _names_differ(self) -> "SiteConfig":
        """Refuse podcasts that would write into one another's files."""
        ids = [podcast.id for podcast in self.included_podcasts]
        files = [podcast.rss_feed_file for podcast in self.included_podcasts]
        problems = [f"podcast id {each!r} is there twice" for each in _repeated(ids)]
        problems += [f"rssFeedFile {each!r} is there twice" for each in _repeated(files)]
        if self.id in ids:
            problems.append(f"podcast id {self.id!r} is the site's id too; choose another")
        if problems:
            raise ValueError("includedPodcasts: " + "; ".join(problems))
        return self


def parse_site_config(document: object, folder_name: str) -> SiteConfig:
    """Check a configuration; ValueError has one line for each field that is wrong."""
    try:
        config = SiteConfig.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ValueError("\n".join(map(sentence_of, details))) from None
    if config.id != folder_name:
        raise ValueError(f"id {config.id!r} must be the folder's name, {folder_name!r}")
    return config


def _repeated(values: Sequence[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
