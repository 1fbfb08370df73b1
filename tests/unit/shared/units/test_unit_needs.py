from pathlib import Path, PurePosixPath

import pytest

from daemons.collector import settings as collector_settings
from daemons.collector import unit as collector
from daemons.dispatcher import settings as dispatcher_settings
from daemons.dispatcher import unit as dispatcher
from daemons.uploader import settings as uploader_settings
from daemons.uploader import unit as uploader
from daemons.watcher import settings as watcher_settings
from daemons.watcher import unit as watcher
from shared.lifecycle import CLEAN_UP_SECONDS
from shared.units.needs import UnitNeeds, outermost

ROOT = Path("/srv/vasco")
NEW = ROOT / "data/local-cats/tmp/positions/new"


def test_the_uploader_writes_in_its_root_alone() -> None:
    """A unit that could write elsewhere would be a unit that a bug could make lose other data."""
    needs = uploader.unit_needs(uploader_settings.Settings(directory=ROOT))

    assert needs.writes == (ROOT,)
    assert needs.reads == ()
    assert not needs.several


def test_a_state_folder_that_the_configuration_names_is_written_in() -> None:
    """The manager makes only the usual one; without this the daemon could not start."""
    elsewhere = Path("/data/state")

    needs = uploader.unit_needs(
        uploader_settings.Settings(directory=ROOT, state_directory=elsewhere)
    )

    assert needs.writes == (elsewhere, ROOT)


def test_the_dispatcher_only_reads_chunks_and_answers() -> None:
    """They are the archive's; they lie in the root, which has to be writable for the ledger."""
    needs = dispatcher.unit_needs(dispatcher_settings.Settings(bucket="a-bucket", root=ROOT))

    assert needs.writes == (ROOT,)
    assert NEW in needs.reads


def test_folders_outside_of_the_root_are_named_as_they_are_configured() -> None:
    """A configuration may spread a project over disks; each part has to be reachable."""
    needs = collector.unit_needs(
        collector_settings.Settings(
            bucket="a-bucket",
            root=ROOT,
            central=Path("/archive/central"),
            ledger=Path("/var/lib/ledgers/.completed_cids"),
        )
    )

    assert set(needs.writes) == {
        Path("/archive/central"),
        Path("/var/lib/ledgers"),
        ROOT / "data/local-cats/tmp/positions/aws_inbox",
    }


@pytest.mark.parametrize(
    ("catalogue", "read"),
    [
        ("", False),
        ("s3://nasa-irsa-wise/wise", False),
        ("/archive/wise", True),
    ],
)
def test_a_watcher_reads_a_catalogue_that_lies_on_this_machine(
    catalogue: str, *, read: bool
) -> None:
    """Below a home it would be hidden; a bucket is no folder."""
    needs = watcher.unit_needs(
        watcher_settings.Settings(bucket="a-bucket", root=ROOT, catalogue=catalogue)
    )

    assert (Path("/archive/wise") in needs.reads) == read
    assert needs.several
    assert needs.runs_steps


def test_a_unit_is_given_the_time_that_its_daemon_may_take_to_end() -> None:
    """The manager would kill an upload that the grace allows to finish."""
    settings = uploader_settings.Settings(directory=ROOT, grace_seconds=100)

    assert uploader.unit_needs(settings).stop_seconds == 100 + CLEAN_UP_SECONDS


def test_what_lies_in_another_folder_is_not_named_twice() -> None:
    """One line a folder is what a person can check."""
    paths = [None, *map(PurePosixPath, ("/b/c", "/a", "/b", "/a/x/y", "/ab"))]

    assert outermost(paths) == tuple(map(PurePosixPath, ("/a", "/ab", "/b")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "Up loader"},
        {"memory_max": "1 G"},
        {"umask": "77"},
        {"schedule": "daily\nExecStart=/bin/sh"},
        {"schedule": "daily", "several": True},
    ],
    ids=str,
)
def test_needs_that_no_unit_could_say_are_refused(wrong: dict[str, object]) -> None:
    """What gets into a unit file is checked where it is made."""
    with pytest.raises(ValueError, match=str(next(iter(wrong)))):
        UnitNeeds(**{"service": "x", "summary": "", "stop_seconds": 1, **wrong})  # type: ignore[arg-type]  # a table
