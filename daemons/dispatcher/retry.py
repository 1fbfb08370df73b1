"""`--retry`: let CIDs out of quarantine, whether the daemon runs or not."""

import sys
from pathlib import Path

from daemons.dispatcher.halts import disk_errors
from daemons.dispatcher.quarantine import put_back
from daemons.dispatcher.settings import Settings
from shared.errors import ExitStatus, UsageError
from shared.handshake.layout import CID

ALL = "all"


def retry(_settings: Settings, state_folder: Path, wanted: str) -> int:
    """Let the CIDs out, or all of them, and say which; exit 4 when one of them was not held."""
    cids = wanted.split()
    if bad := [cid for cid in cids if cid != ALL and not CID.fullmatch(cid)]:
        raise UsageError(f"{bad[0]!r} is no CID; allowed are five digits, or {ALL!r}")
    with disk_errors():
        freed = put_back(state_folder, None if ALL in cids else cids)
    lines = [f"{cid}\tis tried again by the next pass\n" for cid in freed]
    lines += [f"{cid}\tis not in quarantine\n" for cid in cids if cid not in {ALL, *freed}]
    sys.stdout.write("".join(lines) or "the quarantine is empty\n")
    unknown = [cid for cid in cids if cid not in {ALL, *freed}]
    return ExitStatus.PARTLY_DONE if unknown else ExitStatus.DONE
