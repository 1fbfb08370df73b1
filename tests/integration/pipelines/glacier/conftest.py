"""Sentinel-2's step on a catalogue of its own; Landsat's module has another ground."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.glacier_sentinel2 import Sentinel2Ground
from tests.support.glacier_stac import StacServer


@pytest.fixture(scope="module")
def server() -> Iterator[StacServer]:
    """The catalogue, once for all tests of a module."""
    with StacServer() as stac:
        yield stac


@pytest.fixture
def ground(
    server: StacServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Sentinel2Ground:
    """An empty output folder, and an empty catalogue."""
    return Sentinel2Ground(tmp_path, server, capsys, monkeypatch)
