from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.handshake.layout import (
    JobFolder,
    Layout,
    Runout,
    chunk_name,
    closest_name,
    job_folder_at,
    parse_job_folder,
    parse_runout,
    quality_name,
    runout_at,
    seed_path,
)

LAYOUT = Layout("sky")
JOB = JobFolder("2026-03-01", "02104")
RUNOUT = Runout("2026-03-01-1207", "02104")


def test_keys_are_spelt_as_the_scripts_spelt_them() -> None:
    """The other side may still be a bash script that finds its objects by these very names."""
    job = "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-02104"
    runout = "vasco/handshake/from-ec2/aws-closest-2026-03-01-1207-CID-02104"

    assert LAYOUT.jobs.key == "vasco/handshake/from-prod/"
    assert LAYOUT.runouts.key == "vasco/handshake/from-ec2/"
    assert LAYOUT.seed(JOB).key == f"{job}/optical_seeds/chunk_02104/part-02104.parquet"
    assert LAYOUT.marker(JOB).key == f"{job}/cid.txt"
    closest = LAYOUT.result(RUNOUT, closest_name("02104"))
    assert closest.key == f"{runout}/aws_compare_out/positions02104_closest.csv"
    quality = LAYOUT.result(RUNOUT, quality_name("02104"))
    assert quality.key == f"{runout}/aws_compare_out/positions02104_closest.qc.txt"
    assert LAYOUT.manifest(RUNOUT).key == f"{runout}/manifest.json"
    assert chunk_name("02104") == "positions_chunk_02104.csv"
    assert seed_path("02104") == "chunk_02104/part-02104.parquet"


def test_what_is_ours_lies_beside_what_the_scripts_list() -> None:
    """A script copies everything it finds below its two prefixes."""
    for uri in (
        LAYOUT.lease("02104"),
        LAYOUT.failure("02104"),
        LAYOUT.summary("dispatcher"),
        LAYOUT.leases,
        LAYOUT.failures,
        LAYOUT.summaries,
    ):
        assert not uri.key.startswith((LAYOUT.jobs.key, LAYOUT.runouts.key))
    assert LAYOUT.lease("02104").key == "vasco/handshake/leases/CID-02104.json"
    assert LAYOUT.failure("02104").key == "vasco/handshake/failed/CID-02104.json"
    assert LAYOUT.summary("dispatcher").key == "vasco/handshake/status/dispatcher.json"


def test_prefix_is_a_setting() -> None:
    """Two hand-shakes share a bucket."""
    other = Layout("sky", "tests/second")

    assert other.marker(JOB).key.startswith("tests/second/from-prod/")
    assert other.job_of(LAYOUT.marker(JOB).key) is None


def test_names_come_from_the_moment() -> None:
    """The stamp is a name: minutes for results, days for jobs, as the scripts had it."""
    moment = datetime(2026, 3, 1, 12, 7, 59, tzinfo=UTC)

    assert job_folder_at(moment, "02104") == JOB
    assert runout_at(moment, "02104") == RUNOUT


def test_keys_are_split_into_folder_and_rest() -> None:
    """What a listing finds is sorted by the folder it lies in."""
    assert LAYOUT.job_of(LAYOUT.marker(JOB).key) == (JOB, "cid.txt")
    assert LAYOUT.runout_of(LAYOUT.manifest(RUNOUT).key) == (RUNOUT, "manifest.json")
    assert LAYOUT.cid_of(LAYOUT.lease("02104").key) == "02104"
    assert LAYOUT.cid_of(LAYOUT.failure("02104").key) == "02104"


@pytest.mark.parametrize(
    "key",
    [
        "from-prod/aws-seeds-2026-03-01-CID-02104/cid.txt",
        "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-02104",
        "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-2104/cid.txt",
        "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-021045/cid.txt",
        "vasco/handshake/from-prod/aws-seeds-2026-3-1-CID-02104/cid.txt",
        "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-02104.bak/cid.txt",
        "vasco/handshake/from-prod/\n/cid.txt",
        "vasco/handshake/from-prod/aws-seeds-2026-03-01-CID-\u0660\u0661\u0662\u0663\u0664/cid.txt",
        "vasco/handshake/from-ec2/aws-closest-2026-03-01-1207-CID-02104",
        "vasco/handshake/from-ec2/aws-closest-2026-03-01-CID-02104/manifest.json",
        "vasco/handshake/leases/CID-2104.json",
        "vasco/handshake/leases/probe-1",
        "vasco/handshake/leases/CID-02104.json\n",
        "vasco/handshake/status/CID-02104.json",
    ],
)
def test_other_keys_belong_to_nothing(key: str) -> None:
    """Folders that do not match are ignored: people leave notes and copies there."""
    assert LAYOUT.job_of(key) is None
    assert LAYOUT.runout_of(key) is None
    assert LAYOUT.cid_of(key) is None


@given(st.text())
def test_any_name_is_read_or_refused(name: str) -> None:
    """Names of folders come from whoever may write to the bucket."""
    with pytest.raises(ValueError, match="is not of the form aws-seeds"):
        parse_job_folder(name)
    with pytest.raises(ValueError, match="is not of the form aws-closest"):
        parse_runout(name)


def test_names_are_read_as_they_were_written() -> None:
    """A lease names its job and its result by their folders."""
    assert parse_job_folder(str(JOB)) == JOB
    assert parse_runout(str(RUNOUT)) == RUNOUT
