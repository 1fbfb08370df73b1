"""A run that builds the search index itself, and has it searched only once it is in S3."""

from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.ingester.archive.folders import INDEX_PATH
from daemons.ingester.phases.index_marker import pending_marker
from daemons.ingester.phases.outcome import Phase, PhaseStatus
from shared.s3.errors import AccessDenied, ObjectError
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.site_runs import RunGround, statuses
from tests.support.syncing import (
    AUDIO,
    SITE,
)


@pytest.fixture
def ground(tmp_path: Path) -> RunGround:
    """A site with nothing in it."""
    return RunGround(tmp_path)


@pytest.mark.asyncio
async def test_an_index_built_here_goes_up_and_the_search_is_told(
    ground: RunGround, tmp_path: Path
) -> None:
    """The order matters: told too early, the search would load the old one."""
    ground.fill_here()
    command = (_script(tmp_path, 'printf index > "$1"'), "{index}")

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.held(INDEX_PATH) == b"index"
    assert ground.account.invoked == [(f"search-api-{SITE}", b'{"forceFreshDBFileDownload": true}')]
    assert not result.has_errors


@pytest.mark.asyncio
async def test_an_index_that_cannot_be_built_changes_no_index(
    ground: RunGround, tmp_path: Path
) -> None:
    """The old one still finds most; what was uploaded is indexed when the command is mended."""
    ground.fill_here()
    ground.file(INDEX_PATH, b"old")
    command = (_script(tmp_path, "exit 3"),)

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.files()[INDEX_PATH] == b"old"
    assert ground.held(INDEX_PATH) is None
    assert ground.held(AUDIO) is not None
    assert statuses(result)[Phase.INDEXING] is PhaseStatus.FAILED
    assert pending_marker(ground.state, SITE).is_set()


@pytest.mark.asyncio
async def test_the_search_is_not_told_of_an_index_that_did_not_go_up(
    ground: RunGround, tmp_path: Path
) -> None:
    """It would load the old one, and nobody would ever tell it again."""
    ground.fill_here()
    command = (_script(tmp_path, 'printf index > "$1"'), "{index}")
    ground.requests.fault = _refuse(Verb.PUT, INDEX_PATH)

    result = await ground.run(index_mode="local", index_command=command)

    assert ground.account.invoked == []
    assert statuses(result)[Phase.INDEXING] is PhaseStatus.FAILED
    assert pending_marker(ground.state, SITE).is_set()


def _script(folder: Path, line: str) -> str:
    path = folder / "build"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def _refuse(refused: Verb, key: str) -> Callable[[Verb, S3Uri], ObjectError | None]:
    def fault(verb: Verb, uri: S3Uri) -> ObjectError | None:
        return AccessDenied(uri) if verb is refused and uri.key == key else None

    return fault
