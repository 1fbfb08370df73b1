"""What a finished result consists of: `manifest.json`, written after everything it names. Pure.

| field        | meaning                                                        |
|--------------|----------------------------------------------------------------|
| `schema`     | 1                                                              |
| `cid`        | five digits                                                    |
| `job`        | the folder below `from-prod/` that was computed                |
| `generation` | of the lease under which it was computed                       |
| `owner`      | the process that computed it                                   |
| `producer`   | the program and its version                                    |
| `created_at` | on the producer's clock, for people                            |
| `files`      | name in `aws_compare_out/`, `size` in bytes, `crc64nvme` base64|
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.handshake.fields import (
    count_field,
    dump_record,
    line_field,
    one_line,
    parse_record,
    text_field,
)
from shared.handshake.layout import CID, JobFolder, closest_name, parse_job_folder, quality_name

SCHEMA = 1
FILES_MAX = 100
"""A result has two files; whatever has a hundred times as many is not one."""
GENERATION = "towpath-generation"
OWNER = "towpath-owner"
"""Metadata of our own objects: no runout of ours is taken for one of the scripts."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_CRC = re.compile(r"[A-Za-z0-9+/]{11}=")
_MAX_FILE_BYTES = 5 * 1024**4


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a result."""

    name: str
    """A plain name, directly in `aws_compare_out/`."""
    size: int
    """Bytes."""
    crc64nvme: str
    """CRC-64/NVME of all its bytes, in base64 as S3 writes it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Says that a result is whole, and what it was made from."""

    cid: str
    job: JobFolder
    generation: int
    owner: str
    producer: str
    created_at: str
    files: tuple[ResultFile, ...]

    def to_bytes(self) -> bytes:
        """Return the object's content."""
        return dump_record(
            {
                "schema": SCHEMA,
                "cid": self.cid,
                "job": str(self.job),
                "generation": self.generation,
                "owner": one_line(self.owner),
                "producer": one_line(self.producer),
                "created_at": one_line(self.created_at),
                "files": [
                    {"name": file.name, "size": file.size, "crc64nvme": file.crc64nvme}
                    for file in self.files
                ],
            }
        )


def parse_manifest(body: bytes, cid: str) -> Manifest:
    """Read the manifest of a runout of this CID; ValueError says what is wrong with it."""
    record = parse_record(body, "the manifest", SCHEMA)
    named = text_field(record, "cid", CID)
    if named != cid:
        raise ValueError(f"the manifest is of CID {named}, and lies in a runout of CID {cid}")
    files = tuple(_parse_file(entry) for entry in _entries(record))
    names = {file.name for file in files}
    if len(names) != len(files):
        raise ValueError("the manifest names a file twice")
    if missing := {closest_name(cid), quality_name(cid)} - names:
        raise ValueError(f"the manifest does not name {', '.join(sorted(missing))}")
    return Manifest(
        cid=named,
        job=parse_job_folder(text_field(record, "job", None)),
        generation=count_field(record, "generation"),
        owner=line_field(record, "owner"),
        producer=line_field(record, "producer"),
        created_at=line_field(record, "created_at"),
        files=files,
    )


def _entries(record: Mapping[str, object]) -> list[object]:
    entries = record.get("files")
    if not isinstance(entries, list) or not 0 < len(entries) <= FILES_MAX:
        raise ValueError(f"field 'files' must be a list of 1 to {FILES_MAX} files")
    return entries


def _parse_file(entry: object) -> ResultFile:
    if not isinstance(entry, dict):
        raise ValueError("an entry of 'files' is not an object")  # noqa: TRY004 - callers wait for one type
    size = count_field(entry, "size")
    if size > _MAX_FILE_BYTES:
        raise ValueError(f"a file of {size} bytes is larger than S3 takes")
    return ResultFile(
        text_field(entry, "name", _FILE_NAME), size, text_field(entry, "crc64nvme", _CRC)
    )
