import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.s3.pinned import open_pinned
from tests.contract.engines import ENGINES, Engine
from tests.contract.probe import (
    RecordingJournal,
    SourceFile,
)
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY


@pytest.fixture
def journal() -> RecordingJournal:
    """Make the journal that the engine of the test writes to."""
    return RecordingJournal()


@pytest_asyncio.fixture(params=ENGINES)
async def engine(
    request: pytest.FixtureRequest, journal: RecordingJournal, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    """Open each engine in turn."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with ENGINES[str(request.param)](journal) as opened:
        yield opened


@pytest.fixture
def make_source(tmp_path: Path) -> Iterator[Callable[[int], SourceFile]]:
    """Write files of a given size and pin them; the descriptors are closed afterwards."""
    made: list[SourceFile] = []

    def make(size: int) -> SourceFile:
        body = random.Random(size).randbytes(size)  # noqa: S311 - bytes that repeat, not secrets
        path = tmp_path / f"{len(made)}.bin"
        path.write_bytes(body)
        source = SourceFile(path, body, open_pinned(str(path)))
        made.append(source)
        return source

    yield make
    for source in made:
        os.close(source.pinned.descriptor)
