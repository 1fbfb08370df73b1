"""The descriptions of AWS services that the SDK is made of, read in a part of the time it takes.

To find out whether one service is known, botocore looks into the folders of all four hundred, and
for every kind of file anew; and it reads each description into a kind of mapping from the time when
a `dict` had no order. Together that is half of the opening of a client. Rule: what is read, and
where from, is the same.
"""

import gzip
import json
from collections.abc import Mapping
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
        folders = (Path(path) for path in self.search_paths)
        return sorted(
            {each.name for folder in folders if folder.is_dir() for each in folder.iterdir()}
        )


class ModelFiles(JSONFileLoader):  # type: ignore[misc]  # botocore ships no types
    """Reads the files of descriptions, most of which are compressed."""

    def load_file(self, file_path: str) -> Mapping[str, Any] | None:
        """Return what a file holds, named without its ending; None where there is none."""
        plain = Path(f"{file_path}.json")
        if plain.is_file():
            return _parsed(plain.read_bytes())
        compressed = Path(f"{file_path}.json.gz")
        return _parsed(gzip.decompress(compressed.read_bytes())) if compressed.is_file() else None


def _parsed(text: bytes) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text)
    return found
