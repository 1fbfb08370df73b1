"""`--check` of a hand-shake's daemon: the lines that all of them have, in the same order.

Rule: what lies on this machine is looked at and told first, and S3 is asked whatever that was like.
"""

from collections.abc import Awaitable, Callable, Sequence

from shared.checks import Check, write_checks
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus
from shared.handshake.settings import HandshakeSettings
from shared.ledger import Ledger
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectStore
from shared.s3.uri import S3Uri


async def run_hand_shake_checks(
    settings: HandshakeSettings,
    ledger: Ledger,
    folders: Sequence[Check],
    check_bucket: Callable[[ObjectStore], Awaitable[Check]],
) -> ExitStatus:
    """Print whether settings, ledger, folders, credentials and bucket are in order."""
    status = write_checks([Check("settings", ""), check_ledger(ledger), *folders])
    async with open_engine(engine_options(settings), journal=None) as engine:
        who = engine.place.arn or "unknown (the service answers no identity)"
        bucket = write_checks([Check("credentials", who), await check_bucket(engine.store)])
    return bucket or status


def check_ledger(ledger: Ledger) -> Check:
    """Say how much is in a ledger that could be read."""
    count = "1 CID" if len(ledger) == 1 else f"{len(ledger)} CIDs"
    return Check("ledger", f"{count} in {ledger.path.absolute()}")


async def check_listing(store: ObjectStore, where: S3Uri) -> Check:
    """Look whether a place in the bucket can be listed."""
    try:
        known = await store.capabilities(where.bucket)
        async for _ in store.pages(where, delimiter="/"):
            break
    except ObjectError as error:
        return bucket_fault(where, error)
    return Check("bucket", f"{where}, region {known.region or 'not told'}")


def bucket_fault(where: S3Uri, error: ObjectError) -> Check:
    """Say what S3 has against it."""
    return Check("bucket", str(where), f"{error.code}: {error}", ExitStatus.UNREACHABLE)
