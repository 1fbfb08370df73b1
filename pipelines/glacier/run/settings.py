"""How runs are done on this machine, from its environment; no job says anything of it. Pure.

| variable                   | default                   | meaning                                 |
|----------------------------|---------------------------|-----------------------------------------|
| GLACIER_PROJECT_MODE       | image                     | image: the project is on this machine;  |
|                            |                           | s3: it is brought from the bucket       |
| GLACIER_STEP               | builtin, but project in   | whose processing step runs              |
|                            | mode s3                   |                                         |
| GLACIER_PROJECT_ROOT       | image: where this program | the project's folder, here              |
|                            | lies; s3: beside the      |                                         |
|                            | working folder            |                                         |
| GLACIER_PROJECT_PREFIX     | scripts/greenland-glacier-| the project's prefix in the bucket      |
|                            | flow                      |                                         |
| GLACIER_PROJECT_DIGEST     | not known                 | mode image: what it was made from       |
| GLACIER_CONFIG_SHA256      | not known                 | the same of `config.ini`                |
| GLACIER_REGION_FILE        | the project's             | the GeoPackage of the regions           |
| GLACIER_WORK_DIR           | /tmp/glacier_processing   | where each run has a folder of its own  |
| GLACIER_RESERVE_SECONDS    | 60, or 120 with raw tiles | kept back for what comes after the step |
| GLACIER_TIME_LIMIT_SECONDS | 172800                    | of a container's run                    |
| GLACIER_VERSION            | that of the distribution  | of this program, for the record         |
| AWS_REGION                 | us-west-2                 |                                         |
| AWS_ENDPOINT_URL[_S3]      | none                      | another service that speaks S3          |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, cast

from pipelines.glacier.values import AWS_REGION, NAME, PREFIX, TEXT, URL, Kind, choice, whole
from shared.errors import UsageError

T = TypeVar("T")
Mode: TypeAlias = Literal["image", "s3"]
StepKind: TypeAlias = Literal["builtin", "project"]

PROJECT_PREFIX = "scripts/greenland-glacier-flow"

_MODES = choice("image", "s3")
_STEPS = choice("builtin", "project")
_SECONDS = whole(0, 7 * 86_400)
_WORK = "/tmp/glacier_processing"  # noqa: S108 - Lambda lets nothing else be written
_TIME_LIMIT = 2 * 86_400


class BadSettings(UsageError):
    """The environment is wrong; each line is one mistake."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How runs are done here."""

    mode: Mode = "image"
    step: StepKind = "builtin"
    project_root: str = ""
    project_prefix: str = PROJECT_PREFIX
    project_digest: str = ""
    config_sha256: str = ""
    region_file: str = ""
    """Empty: the one of the project."""
    work_folder: str = _WORK
    reserve_seconds: float | None = None
    """None: as the job needs it."""
    time_limit_seconds: float = _TIME_LIMIT
    aws_region: str = "us-west-2"
    endpoint_url: str | None = None
    version: str = "unknown"


def parse_settings(
    variables: Mapping[str, str], *, own_root: str = "", version: str = "unknown"
) -> RunSettings:
    """Read an environment; BadSettings. `own_root` is the folder that this program lies in."""
    read = _Variables(variables)
    mode = cast("Mode", read.get("GLACIER_PROJECT_MODE", _MODES) or "image")
    step = read.get("GLACIER_STEP", _STEPS) or ("builtin" if mode == "image" else "project")
    work = read.get("GLACIER_WORK_DIR", TEXT) or _WORK
    reserve = read.get("GLACIER_RESERVE_SECONDS", _SECONDS)
    limit = read.get("GLACIER_TIME_LIMIT_SECONDS", _SECONDS)
    settings = RunSettings(
        mode=mode,
        step=cast("StepKind", step),
        project_root=read.get("GLACIER_PROJECT_ROOT", TEXT)
        or (own_root if mode == "image" else _beside(work)),
        project_prefix=read.get("GLACIER_PROJECT_PREFIX", PREFIX) or PROJECT_PREFIX,
        project_digest=read.get("GLACIER_PROJECT_DIGEST", NAME) or "",
        config_sha256=read.get("GLACIER_CONFIG_SHA256", NAME) or "",
        region_file=read.get("GLACIER_REGION_FILE", TEXT) or "",
        work_folder=work,
        reserve_seconds=None if reserve is None else float(reserve),
        time_limit_seconds=float(limit or _TIME_LIMIT),
        aws_region=read.get("AWS_REGION", AWS_REGION)
        or read.get("AWS_DEFAULT_REGION", AWS_REGION)
        or "us-west-2",
        endpoint_url=read.get("AWS_ENDPOINT_URL_S3", URL) or read.get("AWS_ENDPOINT_URL", URL),
        version=read.get("GLACIER_VERSION", NAME) or version,
    )
    if read.problems:
        raise BadSettings("\n".join(read.problems))
    return settings


class _Variables:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def get(self, name: str, kind: Kind[T]) -> T | None:
        text = self._variables.get(name, "")
        if not text:
            return None
        try:
            return kind.read(text, f"variable {name}")
        except ValueError as error:
            self.problems.append(str(error))
            return None


def _beside(folder: str) -> str:
    return f"{folder.rstrip('/').rpartition('/')[0]}/greenland-glacier-flow"
