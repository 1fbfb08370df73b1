from pathlib import Path

import pytest

from shared.checks import Check
from shared.errors import ExitStatus
from shared.handshake.checks import check_ledger, check_listing
from shared.handshake.layout import CID
from shared.ledger import Ledger
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri

JOBS = S3Uri("colony-handshake", "vasco/from-prod/")


@pytest.mark.asyncio
async def test_a_bucket_that_can_be_listed_is_in_order() -> None:
    """One listing is what every pass begins with."""
    check = await check_listing(MemoryStore(MemoryBuckets(JOBS.bucket)), JOBS)

    assert (check.name, check.fault) == ("bucket", "")
    assert check.what.startswith(f"{JOBS}, region ")


@pytest.mark.asyncio
async def test_a_bucket_that_is_missing_is_named_with_its_own_status() -> None:
    """The status tells a script that the settings are right and the bucket is not there."""
    check = await check_listing(MemoryStore(MemoryBuckets("another")), JOBS)

    assert (check.what, check.status) == (str(JOBS), ExitStatus.UNREACHABLE)
    assert check.fault.startswith("NoSuchBucket: ")


@pytest.mark.parametrize(
    ("text", "count"), [("", "0 CIDs"), ("00001\n", "1 CID"), ("00001\n00002\n", "2 CIDs")]
)
def test_a_ledger_tells_how_much_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, count: str
) -> None:
    """Whoever is in the wrong folder sees an empty ledger, and where it was looked for."""
    (tmp_path / ".cids").write_text(text)
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(Path(".cids"), accepts=CID)
    ledger.load()

    assert check_ledger(ledger) == Check("ledger", f"{count} in {tmp_path / '.cids'}")
