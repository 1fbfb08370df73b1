"""The descriptions of AWS services that the SDK is made of, read in a part of the time it takes.

To find out whether one service is known, botocore looks into the folders of all four hundred, and
for every kind of file anew; and it reads each description into a kind of mapping from the time when
a `dict` had no order. Together that is half of the opening of a client. Rule: what is read, and
where from, is the same.
"""

import gzip
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader


class ServiceModels(Loader):  # type: ignore[misc]  # botocore ships no types
    """Finds the descriptions; to be registered with a session, and shared by all of a process."""

    def __init__(self) -> None:
        super().__init__(file_loader=ModelFiles())

    def list_available_services(self, type_name: str) -> list[str]:
        """Return every service that has a folder, whether or not there is this type in it.

        Who asks for a type that is missing hears so of the loader, when it looks for its versions.
        """
        del type_name
        found: set[str] = set()
        for path in self.search_paths:
            # The home of a daemon's user may be closed to it: no descriptions of its own, then.
            with suppress(OSError):
                found.update(each.name for each in Path(path).iterdir())
        return sorted(found)


class ModelFiles(JSONFileLoader):  # type: ignore[misc]  # botocore ships no types
    """Reads the files of descriptions, most of which are compressed."""

    def load_file(self, file_path: str) -> Mapping[str, Any] | None:
        """Return what a file holds, named without its ending; None where there is none."""
        if (plain := _read(f"{file_path}.json")) is not None:
            return _parsed(plain)
        compressed = _read(f"{file_path}.json.gz")
        return None if compressed is None else _parsed(gzip.decompress(compressed))


def _read(path: str) -> bytes | None:
    """Return the bytes of a file, None where it cannot be had: others may lie further on."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _parsed(text: bytes) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text)
    return found
