"""Where each site lives: `.site-account-mappings.json` for S3, `.local-files-config.json` here.

A site without a usable mapping is blocked and the others run; that is found out before anything
has begun. A data folder that is configured and not there stops everything: it is a drive that is
not mounted, and starting anew would download and transcribe the whole archive again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from daemons.ingester.project.files import read_object
from daemons.ingester.project.sites import SiteProblem
from shared.errors import UsageError

MAPPINGS_NAME = ".site-account-mappings.json"
LOCAL_FILES_NAME = ".local-files-config.json"
DEFAULT_DATA_FOLDER = "aws-local-dev"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class SiteMapping(BaseModel):
    """The account and the bucket of a site, and what stands before them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel)

    account_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
    bucket_name: Annotated[str, StringConstraints(pattern=f"^{_BUCKET.pattern}$")]
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
    by_site: dict[str, SiteMapping] = {}
    problems: list[SiteProblem] = []
    for site_id in site_ids:
        if site_id not in document:
            problems.append(SiteProblem(site_id, path, "the site has no entry"))
            continue
        try:
            by_site[site_id] = SiteMapping.model_validate(document[site_id])
        except ValidationError as error:
            problems.append(SiteProblem(site_id, path, _sentences(error)))
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


def _sentences(error: ValidationError) -> str:
    lines = []
    for detail in error.errors(include_url=False):
        field = ".".join(map(str, detail["loc"])) or "the entry"
        shown = "" if detail["type"] == "missing" else f" {str(detail['input'])[:80]!r}"
        lines.append(f"{field}{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}")
    return "\n".join(lines)
