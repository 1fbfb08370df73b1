"""Where each site lives: `.site-account-mappings.json` for S3, `.local-files-config.json` here.

A site without a usable mapping is blocked and the others run; that is found out before anything
has begun. A bucket is one site's: each of two would take the files of the other for its own, and
merge their manifests, so both are blocked, also where one of them alone was chosen. A data folder
that is configured and not there stops everything: it is a drive that is not mounted, and starting
anew would download and transcribe the whole archive again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from daemons.ingester.project.files import read_object
from daemons.ingester.project.sites import SiteProblem
from daemons.ingester.project.wording import matching, sentence_of
from shared.errors import UsageError

MAPPINGS_NAME = ".site-account-mappings.json"
LOCAL_FILES_NAME = ".local-files-config.json"
DEFAULT_DATA_FOLDER = "aws-local-dev"

_ACCOUNT = re.compile(r"[0-9]{12}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class SiteMapping(BaseModel):
    """The account and the bucket of a site, and what stands before them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel)

    account_id: Annotated[str, matching(_ACCOUNT, "the 12 digits of an account")]
    bucket_name: Annotated[str, matching(_BUCKET, "a bucket's name")]
    cloudfront_id: str | None = None
    """Of the distribution to invalidate; None where there is none."""
    cloudfront_domain: str | None = None
    search_api_url: str | None = None


@dataclass(frozen=True, slots=True)
class Mappings:
    """The mappings that can be used, and the sites that are blocked for want of one."""

    by_site: Mapping[str, SiteMapping]
    problems: tuple[SiteProblem, ...] = ()


def load_mappings(root: Path, site_ids: Iterable[str]) -> Mappings:
    """Return the mappings of the chosen sites; UsageError where the file is missing or no JSON."""
    path = root / MAPPINGS_NAME
    document = read_object(path)
    if document is None:
        raise UsageError(f"{str(path)!r} is missing; it names the account and bucket of each site")
    sharing = _sharing(document)
    by_site: dict[str, SiteMapping] = {}
    problems: list[SiteProblem] = []
    for site_id in site_ids:
        if site_id not in document:
            problems.append(SiteProblem(site_id, path, "the site has no entry"))
            continue
        try:
            mapping = SiteMapping.model_validate(document[site_id])
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems.append(SiteProblem(site_id, path, "\n".join(map(sentence_of, details))))
            continue
        if others := [each for each in sharing[mapping.bucket_name] if each != site_id]:
            problems.append(SiteProblem(site_id, path, _not_its_own(mapping.bucket_name, others)))
        else:
            by_site[site_id] = mapping
    return Mappings(by_site, tuple(problems))


def find_data_folder(root: Path) -> Path:
    """Return where the local files are; UsageError where a configured folder is not there."""
    path = root / LOCAL_FILES_NAME
    document = read_object(path) or {}
    named = document.get("localFilesPath")
    if named is None:
        return root / DEFAULT_DATA_FOLDER
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise UsageError(f"{str(path)!r}: localFilesPath {named!r} must be the name of a folder")
    folder = root / Path(named.strip()).expanduser()
    if not folder.is_dir():
        raise UsageError(
            f"{str(path)!r}: localFilesPath {str(folder)!r} is not a folder; mount the drive, "
            "create the folder, or correct the name"
        )
    return folder


def _sharing(document: Mapping[str, object]) -> Mapping[str, Sequence[str]]:
    """Return which entries name each bucket, those of other sites and broken ones included."""
    sharing: dict[str, list[str]] = {}
    for site_id, entry in document.items():
        name = entry.get("bucketName") if isinstance(entry, dict) else None
        if isinstance(name, str):
            sharing.setdefault(name, []).append(site_id)
    return sharing


def _not_its_own(bucket: str, others: Sequence[str]) -> str:
    return (
        f"bucketName {bucket!r} is that of {', '.join(map(repr, others))} too; give each site a "
        "bucket of its own, or remove the entry that is not used any more"
    )
