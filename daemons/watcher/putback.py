"""`--retry CID...`: lets parked CIDs be tried again, from any machine that may write leases."""

import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from daemons.watcher.opening import open_book
from daemons.watcher.settings import Settings
from shared.engine import engine_options, open_engine
from shared.errors import ExitStatus, UsageError
from shared.handshake.layout import CID
from shared.handshake.lease import Owner
from shared.handshake.listing import list_reports
from shared.lifecycle import run

ALL = "all"

_PUT_BACK = "put back; the watchers try it again"


def put_back_cids(settings: Settings, _state_folder: Path, value: str) -> int:
    """Put the named CIDs back, or all that are parked; exit 4 when one of them was not parked."""
    cids = list(dict.fromkeys(value.split()))
    for cid in cids:
        if cid != ALL and not CID.fullmatch(cid):
            raise UsageError(f"{cid!r} is no CID; allowed are five digits, or {ALL!r}")
    return run(lambda: _put_back(settings, cids))


async def _put_back(settings: Settings, cids: Sequence[str]) -> ExitStatus:
    """Put them back one after the other, and say of each how it went."""
    # A name of its own: no lease of a work folder is ever taken for this process's.
    owner = Owner(secrets.token_hex(16), f"retry-{secrets.token_hex(8)}", socket.gethostname())
    status = ExitStatus.DONE
    async with open_engine(engine_options(settings), journal=None) as engine:
        book = open_book(settings, engine.store, owner)
        if ALL in cids:
            reported = await list_reports(engine.store, settings.layout)
            back = [cid for cid in sorted(reported) if await book.put_back(cid)]
            lines = [f"{cid}\t{_PUT_BACK}\n" for cid in back]
            sys.stdout.write("".join(lines) or "no CID is parked\n")
        for cid in (cid for cid in cids if cid != ALL):
            done = await book.put_back(cid)
            said = _PUT_BACK if done else "not parked; nothing changed"
            sys.stdout.write(f"{cid}\t{said}\n")
            status = status if done else ExitStatus.PARTLY_DONE
    return status
