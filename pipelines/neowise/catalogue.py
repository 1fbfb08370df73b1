"""The public catalogue: where its leaves are, on S3 or in a folder, and how they are opened.

| what happens                                            | means                         | status |
|---------------------------------------------------------|-------------------------------|--------|
| a leaf, or a year, is not there                         | normal: nothing was observed  |        |
| none of the years is there                              | not the catalogue             | 6      |
| no answer, refused, throttled too long, a disk error    | infrastructure, not the job   | 6      |
| a file that is no Parquet, is damaged, lacks a column   | the catalogue needs a person  | 2      |

Retries of single requests are those of the S3 client inside Arrow, which alone knows them; they end
after some attempts, and what has been finished until then is kept as shards.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import structlog
from structlog.typing import FilteringBoundLogger

from pipelines.neowise.columns import FOLDERS_OF_A_FACE
from pipelines.neowise.disk import one_line
from shared.errors import EndpointRefused, UsageError
from shared.s3.uri import parse_uri

log: FilteringBoundLogger = structlog.get_logger()

PUBLIC_ROOT = "s3://nasa-irsa-wise/wise/neowiser/catalogs/p1bs_psd/healpix_k5"
PUBLIC_REGION = "us-west-2"

_ATTEMPTS = 5
_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0
_FROM_S3 = "AWS Error"


@dataclass(frozen=True, slots=True)
class CatalogueAccess:
    """Where the catalogue is and how to reach it."""

    root: str = PUBLIC_ROOT
    """`s3://bucket/prefix` or a folder."""
    aws_region: str = PUBLIC_REGION
    endpoint_url: str | None = None
    """None: what the SDK's own variables say, else AWS."""
    anonymous: bool = True


@dataclass(frozen=True, slots=True)
class Leaf:
    """One Parquet file of one pixel and year."""

    path: str
    year: str


def leaf_folder(year: str, pixel: int) -> str:
    """Return where a pixel's files of a year are below the catalogue's root."""
    face = pixel // FOLDERS_OF_A_FACE
    return f"{year}/neowiser-healpix_k5-{year}.parquet/healpix_k0={face}/healpix_k5={pixel}"


class Catalogue:
    """The leaves of some years; safe to use from several threads."""

    def __init__(
        self, files: pafs.FileSystem, root: str, shown_root: str, years: Sequence[str]
    ) -> None:
        self._files = files
        self._root = root
        self.shown_root = shown_root
        self.years = tuple(years)

    def check(self) -> None:
        """Make sure that this is the catalogue: EndpointRefused where none of the years is."""
        with self._translated(self._root):
            selector = pafs.FileSelector(self._root, allow_not_found=True)
            found = {info.base_name for info in self._files.get_file_info(selector)}
        missing = [year for year in self.years if year not in found]
        if len(missing) == len(self.years):
            raise EndpointRefused(
                f"catalogue {self.shown_root!r} has none of {', '.join(self.years)}; "
                "name its root with --catalogue, or its years with --years"
            )
        if missing:
            log.warning("years_absent", catalogue=self.shown_root, years=",".join(missing))

    def leaves(self, year: str, pixel: int) -> list[Leaf]:
        """Return the files of a pixel in a year by name; none is normal."""
        folder = f"{self._root}/{leaf_folder(year, pixel)}"
        with self._translated(folder):
            selector = pafs.FileSelector(folder, allow_not_found=True)
            infos = self._files.get_file_info(selector)
        names = sorted(
            info.path
            for info in infos
            if info.type == pafs.FileType.File
            and info.base_name.endswith(".parquet")
            and not info.base_name.startswith((".", "_"))
        )
        return [Leaf(path, year) for path in names]

    @contextmanager
    def open(self, leaf: Leaf) -> Iterator[pq.ParquetFile]:
        """Open a leaf for reading, errors while reading included."""
        with (
            self._translated(leaf.path),
            self._files.open_input_file(leaf.path) as stream,
            pq.ParquetFile(stream, pre_buffer=True) as file,
        ):
            yield file

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        remote = isinstance(self._files, pafs.S3FileSystem)
        shown = f"s3://{path}" if remote else path
        try:
            yield
        except pa.ArrowInvalid as error:
            raise UsageError(f"{shown!r} is no usable Parquet file: {one_line(error)}") from error
        except OSError as error:
            # A page that cannot be decompressed is an OSError as well, without a number.
            if error.errno is None and _FROM_S3 not in str(error):
                raise UsageError(f"{shown!r} cannot be decoded: {one_line(error)}") from error
            raise EndpointRefused(f"catalogue {shown!r}: {one_line(error)}") from error


def open_catalogue(access: CatalogueAccess, years: Sequence[str]) -> Catalogue:
    """Return the catalogue; nothing is asked of it yet. UsageError for a root that is none."""
    if not access.root.startswith("s3://"):
        folder = str(Path(access.root).absolute())
        return Catalogue(pafs.LocalFileSystem(), folder, folder, years)
    try:
        uri = parse_uri(access.root.rstrip("/"))
    except ValueError as error:
        raise UsageError(f"--catalogue: {error}") from error
    root = f"{uri.bucket}/{uri.key}".rstrip("/")
    return Catalogue(_s3(access), root, access.root.rstrip("/"), years)


def _s3(access: CatalogueAccess) -> pafs.S3FileSystem:
    """Open Arrow's own S3 client."""
    scheme, _, host = (access.endpoint_url or "").rpartition("://")
    return pafs.S3FileSystem(
        anonymous=access.anonymous,
        region=access.aws_region,
        endpoint_override=host or None,
        scheme=scheme or "https",
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
