"""Which image is meant: out of the line, the file and the project. Reads files, asks nobody."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.docker.build_context import (
    SOURCE,
    Ingredients,
    check_source,
    describe_content,
)
from pipelines.glacier.deploy.docker.image_content import BASE_IMAGE
from pipelines.glacier.deploy.docker.imaging import Building
from pipelines.glacier.deploy.preparing import Prepared
from pipelines.glacier.lines.loading import path_of
from pipelines.glacier.project.ini_files import CONFIG_NAME
from pipelines.glacier.region_file import REGION_FILE, load_regions
from pipelines.glacier.transfer.digests import local_digests
from pipelines.glacier.transfer.manifest import Digests
from pipelines.glacier.transfer.rule_flags import rules_of
from shared.errors import UsageError

_PLACE = PurePosixPath(REGION_FILE.as_posix())


def image_request(prepared: Prepared) -> Building:
    """Return what is built, with the content that its tag comes from; UsageError."""
    line, deployment = prepared.loaded.sources.line, prepared.deployment
    source = path_of(line, flags.SOURCE) or SOURCE
    check_source(source, flags.SOURCE)
    digests = _digests(prepared)
    ingredients = Ingredients(
        source=source,
        region_file=region_file(prepared),
        region_place=_PLACE,
        base_image=line.get(flags.BASE_IMAGE)
        or BASE_IMAGE.format(python_version=deployment.python_version),
        platform=deployment.platform,
        project_digest=digests.project,
        config_sha256=digests.config,
        version=towpath_version(),
    )
    content = describe_content(ingredients)
    return Building(ingredients, content, no_cache=bool(line.get(flags.NO_CACHE)))


def region_file(prepared: Prepared) -> Path:
    """Return the region file that goes into the image; UsageError where it cannot be read."""
    named = path_of(prepared.loaded.sources.line, flags.REGION_FILE)
    if named is None and prepared.loaded.project is None:
        raise UsageError(
            f"no folder from here upwards holds {CONFIG_NAME!r}; give --project, or --region-file"
        )
    path = named or (prepared.loaded.project or Path()) / REGION_FILE
    load_regions(path)
    return path


def towpath_version() -> str:
    """Return the version of what is installed."""
    try:
        return version("towpath")
    except PackageNotFoundError:
        return "0"


def _digests(prepared: Prepared) -> Digests:
    """Return the project's digests where the image shall refuse to run for another project."""
    project = prepared.loaded.project
    if not prepared.loaded.sources.line.get(flags.BIND_PROJECT):
        return Digests()
    if project is None:
        raise UsageError(f"--bind-project needs a project; no folder upwards holds {CONFIG_NAME!r}")
    return local_digests(project, rules_of(prepared.loaded.sources.aws))
