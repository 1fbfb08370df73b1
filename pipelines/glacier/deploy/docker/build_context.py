"""Lays out what an image is built from: the code that runs, hashed requirements, the region file.

Only what is named here comes along, so that nothing of a checkout or a project slips in: no
settings, no credentials, no documents, no history.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.glacier.deploy.docker.image_content import ImageContent
from pipelines.glacier.lines.flag import Flag
from shared.errors import UsageError

SOURCE = Path(__file__).resolve().parents[4]
"""The checkout that this module is part of."""

_IMAGE = PurePosixPath("pipelines/glacier/image")
_FILES: Mapping[PurePosixPath, PurePosixPath] = {
    PurePosixPath("requirements/glacier.txt"): PurePosixPath("requirements/glacier.txt"),
    PurePosixPath("requirements/image.txt"): _IMAGE / "requirements.txt",
    PurePosixPath("app/lambda_handler.py"): _IMAGE / "lambda_handler.py",
    PurePosixPath("app/pipelines/__init__.py"): PurePosixPath("pipelines/__init__.py"),
    PurePosixPath("app/pipelines/glacier/image/entry.sh"): _IMAGE / "entry.sh",
    PurePosixPath("Dockerfile"): _IMAGE / "Dockerfile",
    PurePosixPath(".dockerignore"): _IMAGE / ".dockerignore",
}
"""Where single files go, and where they come from."""
_PACKAGES = ("shared", "pipelines/glacier")
_LEFT_OUT = ("pipelines/glacier/deploy", "pipelines/glacier/image/lambda_handler.py")
"""What does not run in the image, or has another place there."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What an image is made from."""

    source: Path
    """A checkout of towpath."""
    region_file: Path
    region_place: PurePosixPath
    """Where it goes, below `project/`."""
    base_image: str
    platform: str
    project_digest: str = ""
    config_sha256: str = ""
    version: str = ""


def describe_content(ingredients: Ingredients) -> ImageContent:
    """Read everything and say what the image would be; UsageError where something is missing."""
    found = {place: _sha256(path) for place, path in _laid_out(ingredients).items()}
    return ImageContent(
        files=found,
        base_image=ingredients.base_image,
        platform=ingredients.platform,
        region_file=ingredients.region_place,
        project_digest=ingredients.project_digest,
        config_sha256=ingredients.config_sha256,
        version=ingredients.version,
    )


def write_context(ingredients: Ingredients, content: ImageContent, folder: Path) -> None:
    """Copy everything into an empty folder, as docker is given it.

    Raises:
        UsageError: something is no longer what `content` says, and with it the image's tag.
    """
    laid_out = _laid_out(ingredients)
    for place, path in laid_out.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if content.files.get(place) != _sha256(target):
            raise UsageError(f"{str(path)!r} was changed meanwhile; deploy again")
    if gone := content.files.keys() - laid_out.keys():
        raise UsageError(f"{str(min(gone))!r} was removed meanwhile; deploy again")


def check_source(source: Path, flag: Flag[str]) -> None:
    """Tell whether images can be built from a folder; UsageError says what it lacks."""
    missing = [str(path) for path in _FILES.values() if not (source / path).is_file()]
    if missing:
        raise UsageError(
            f"{str(source)!r} has no {missing[0]!r}; give a checkout of towpath with {flag.name}"
        )


def _laid_out(ingredients: Ingredients) -> Mapping[PurePosixPath, Path]:
    """Return where each file of the context comes from."""
    found = {place: ingredients.source / path for place, path in _FILES.items()}
    found |= {
        PurePosixPath("app") / path: ingredients.source / path
        for path in _modules(ingredients.source)
    }
    if not ingredients.region_file.is_file():
        raise UsageError(f"region file {str(ingredients.region_file)!r} is not there")
    found[PurePosixPath("project") / ingredients.region_place] = ingredients.region_file
    return found


def _modules(source: Path) -> Iterator[PurePosixPath]:
    """Yield every module that may run in the image."""
    for package in _PACKAGES:
        for path in (source / package).rglob("*.py"):
            place = PurePosixPath(path.relative_to(source).as_posix())
            if not any(place.is_relative_to(left_out) for left_out in _LEFT_OUT):
                yield place


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from error
