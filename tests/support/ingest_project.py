"""A project on disk as its operator keeps it: sites, account mappings, keys, settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemons.ingester.project.credentials import FILE_NAME
from daemons.ingester.project.mappings import DEFAULT_DATA_FOLDER, MAPPINGS_NAME
from daemons.ingester.project.sites import CONFIG_NAME, CORRECTIONS_NAME
from tests.support.aws_control import AWS_REGION, CENTRAL_KEY, CENTRAL_SECRET

ACCOUNT_A, ACCOUNT_B = "111111111111", "222222222222"


@dataclass(frozen=True)
class SiteSetup:
    """What the operator decides about a site."""

    id: str
    account: str
    podcasts: tuple[str, ...]
    """Fetched in this order."""
    distribution: str = ""
    """Of CloudFront; empty: none."""
    inactive: frozenset[str] = frozenset()
    """Podcasts that are not fetched any more."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Its own `.env.local`."""
    corrections: Mapping[str, str] = field(default_factory=dict)
    """What is misspelt and how it is spelt."""

    @property
    def bucket(self) -> str:
        """Its bucket."""
        return f"{self.id}-browse-dot-show"

    @property
    def indexer(self) -> str:
        """The function that builds its index."""
        return f"srt-indexing-{self.id}"

    @property
    def searcher(self) -> str:
        """The function that answers searches."""
        return f"search-api-{self.id}"


class Project:
    """The folder that `--root` names."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.root = root
        self.data = root / DEFAULT_DATA_FOLDER
        self._mappings: dict[str, Mapping[str, str]] = {}
        root.mkdir(parents=True)
        self.write_variables(root / ".env.local", variables)
        self.write_keys()

    def write_keys(self) -> None:
        """Write the keys of the automation user, as people do: with quotes and a comment."""
        lines = [
            "# the central user; never commit this",
            f"AWS_ACCESS_KEY_ID={CENTRAL_KEY}",
            f'AWS_SECRET_ACCESS_KEY="{CENTRAL_SECRET}"',
            f"AWS_REGION={AWS_REGION}",
            "SCHEDULED_RUN_MAIN_AWS_PROFILE=browse-dot-show-automation",
        ]
        (self.root / FILE_NAME).write_text("\r\n".join(lines) + "\r\n")

    def write_site(self, site: SiteSetup, feed_urls: Mapping[str, str]) -> None:
        """Write a site's folder and its mapping."""
        folder = self.folder(site.id)
        folder.mkdir(parents=True, exist_ok=True)
        config = json.dumps(_config(site, feed_urls), indent=2, ensure_ascii=False)
        (folder / CONFIG_NAME).write_text(config)
        if site.variables:
            self.write_variables(folder / ".env.local", site.variables)
        if site.corrections:
            rules = [
                {"misspellings": [wrong], "correctedSpelling": right}
                for wrong, right in site.corrections.items()
            ]
            (folder / CORRECTIONS_NAME).write_text(json.dumps({"correctionsToApply": rules}))
        mapping = {"accountId": site.account, "bucketName": site.bucket}
        if site.distribution:
            mapping["cloudfrontId"] = site.distribution
        self._mappings[site.id] = mapping
        (self.root / MAPPINGS_NAME).write_text(json.dumps(self._mappings, indent=2))

    def folder(self, site_id: str) -> Path:
        """Return a site's folder."""
        return self.root / "sites" / "my-sites" / site_id

    def mirror(self, site_id: str) -> Path:
        """Return where a site's local files are."""
        return self.data / "s3" / "sites" / site_id

    def write_variables(self, path: Path, variables: Mapping[str, str]) -> None:
        """Write a file of settings."""
        path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def _config(site: SiteSetup, feed_urls: Mapping[str, str]) -> Mapping[str, object]:
    """Return what a site's web page and the ingester read, all of it."""
    title = site.id.replace("-", " ").title()
    return {
        "id": site.id,
        "domain": f"{site.id}.browse.show",
        "appHeader": {
            "primaryTitle": title,
            "includeTitlePrefix": True,
            "taglinePrimaryPodcastName": title,
            "taglinePrimaryPodcastExternalURL": f"https://{site.id}.example",
            "taglineSuffix": "podcast archives",
        },
        "socialAndMetadata": {
            "pageTitle": title,
            "canonicalUrl": f"https://{site.id}.browse.show",
            "openGraphImagePath": "./assets/og.png",
            "metaDescription": "Search every word that was said.",
            "metaTitle": title,
        },
        "includedPodcasts": [
            {
                "id": podcast,
                "rssFeedFile": f"{podcast}.xml",
                "title": podcast.replace("-", " ").title(),
                "status": "inactive" if podcast in site.inactive else "active",
                "url": feed_urls[podcast],
            }
            for podcast in site.podcasts
        ],
        "whisperTranscriptionPrompt": f"This is {title}.",
        "themeColor": "#ffffff",
        "themeColorDark": "#000000",
        "searchPlaceholderOptions": ["Search..."],
        "aFieldOfTomorrow": {"kept": True},
    }
