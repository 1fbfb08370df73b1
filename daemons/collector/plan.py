"""What to do with one runout, and which runouts to look at: facts in, decisions out. Pure.

Nothing here is ever a reason to overwrite or delete: the strongest decision is to pull.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from shared.handshake.layout import Runout, closest_name, quality_name
from shared.handshake.lease import Lease, LeaseState
from shared.handshake.listing import Result
from shared.handshake.manifest import Manifest

QUIET_SECONDS = 60.0
"""How far apart the two listings must be that show a table without its qc.txt unchanged."""

NEWEST_KEPT = 2000
"""Names at the end of a listing that are remembered, to begin the next one there."""

_NAME_BYTES_MAX = 200
_LONGEST_DELAY = 600.0
_WAITING_MAX = 20_000
_WINDOW_NAMES = 300
_WINDOW_STAMPS = 3


class Unasked(Enum):
    """A fact that nobody has asked for yet."""

    UNASKED = "unasked"


UNASKED = Unasked.UNASKED


@dataclass(frozen=True, slots=True)
class AskLease:
    """Read the lease of the CID, then judge again."""


@dataclass(frozen=True, slots=True)
class AskManifest:
    """Read the manifest, then judge again."""


@dataclass(frozen=True, slots=True)
class AskOrigin:
    """Find out from the table's metadata whose it is, then judge again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to be pulled."""

    name: str
    size: int
    """Bytes."""
    etag: str
    """As listed."""
    crc64nvme: str = ""
    """What the manifest promises; the scripts promise nothing."""


@dataclass(frozen=True, slots=True)
class Pull:
    """The runout is complete as far as its bucket can tell: pull these, the table last."""

    files: tuple[Wanted, ...]
    reason: str
    left: tuple[str, ...] = ()
    """Names that are not taken, because no file of ours would have them."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is wrong yet; it is looked at again later."""

    reason: str
    usual: bool = False
    """A moment that every runout goes through: no warning."""
    quiet: bool = False
    """It is over once the listing has not changed for `QUIET_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A result of ours that lost against another one; it is never merged."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be merged as it is, and a person must act; looked at again when it changes."""

    reason: str


Judgement = AskLease | AskManifest | AskOrigin | Pull | Wait | Orphan | Refuse


def judge(
    result: Result,
    *,
    lease: Lease | Unasked | None = UNASKED,
    manifest: Manifest | Unasked = UNASKED,
    ours: bool | Unasked = UNASKED,
    quiet: bool = False,
) -> Judgement:
    """Decide the next step for a runout.

    | manifest | lease                  | table, qc.txt                      | step              |
    |----------|------------------------|------------------------------------|-------------------|
    | yes      | not asked              |                                    | AskLease          |
    | yes      | committed to it        | manifest not read                  | AskManifest       |
    | yes      | committed to it        | as the manifest says               | Pull              |
    | yes      | committed to it        | missing, or of another size        | Refuse            |
    | yes      | committed to another   |                                    | Orphan            |
    | yes      | any other, or none     |                                    | Wait              |
    | no       |                        | no table                           | Wait, a warning   |
    | no       |                        | table, not asked whose             | AskOrigin         |
    | no       |                        | table of ours                      | Wait              |
    | no       |                        | table and qc.txt of the scripts    | Pull              |
    | no       |                        | table alone, listed unchanged      | Pull              |
    | no       |                        | table alone                        | Wait until quiet  |
    """
    if result.manifest is not None:
        return _judge_ours(result, lease, manifest)
    cid = result.runout.cid
    if closest_name(cid) not in result.files:
        return Wait(f"it has no {closest_name(cid)} in it")
    if ours is UNASKED:
        return AskOrigin()
    if ours:
        return Wait("it is one of ours without its manifest", usual=True)
    if quality_name(cid) in result.files:
        return _pull_listed(result, "table and qc.txt are there")
    if quiet:
        return _pull_listed(result, f"the table has not changed for {QUIET_SECONDS:.0f} s")
    reason = f"it has no {quality_name(cid)}; its table must be unchanged for a while"
    return Wait(reason, usual=True, quiet=True)


def _judge_ours(
    result: Result, lease: Lease | Unasked | None, manifest: Manifest | Unasked
) -> Judgement:
    if isinstance(lease, Unasked):
        return AskLease()
    if lease is None:
        return Wait("nobody holds or held a lease of its CID; it was not committed")
    if lease.state is not LeaseState.COMMITTED:
        return Wait(f"its CID is {lease.state.value}, it is not committed yet", usual=True)
    if lease.runout != result.runout:
        return Orphan(f"its CID is committed with {lease.runout}")
    if isinstance(manifest, Unasked):
        return AskManifest()
    return _pull_promised(result, manifest)


def _pull_promised(result: Result, manifest: Manifest) -> Pull | Refuse:
    wanted = []
    for file in manifest.files:
        held = result.files.get(file.name)
        if held is None:
            return Refuse(f"its manifest names {file.name!r}, which is not there")
        if held.size != file.size:
            return Refuse(
                f"its manifest promises {file.size} bytes of {file.name!r}, there are {held.size}"
            )
        wanted.append(Wanted(file.name, file.size, held.etag, file.crc64nvme))
    left = sorted(result.files.keys() - {file.name for file in manifest.files})
    return Pull(_table_last(wanted, result.runout.cid), "it is committed", tuple(left))


def _pull_listed(result: Result, reason: str) -> Pull:
    plain = {name: held for name, held in result.files.items() if is_plain_name(name)}
    wanted = [Wanted(name, held.size, held.etag) for name, held in plain.items()]
    left = sorted(result.files.keys() - plain.keys())
    return Pull(_table_last(wanted, result.runout.cid), reason, tuple(left))


def _table_last(files: Sequence[Wanted], cid: str) -> tuple[Wanted, ...]:
    """Order them so that whoever sees the table has all the rest, the qc.txt just before it."""
    last = (quality_name(cid), closest_name(cid))
    return tuple(
        sorted(files, key=lambda file: last.index(file.name) + 1 if file.name in last else 0)
    )


def is_plain_name(name: str) -> bool:
    """Tell whether a file may have this name in the inbox and in the central folder.

    Hidden names are those of temporary files, and no result has one.
    """
    return (
        name.isprintable()
        and not name.startswith(".")
        and not set(name) & {"/", "\\"}
        and 0 < len(name.encode()) <= _NAME_BYTES_MAX
    )


def fingerprint(result: Result) -> str:
    """Reduce what a listing shows of a runout to a short text: equal means unchanged."""
    objects = [*result.files.items(), *([("", result.manifest)] if result.manifest else [])]
    said = repr([(name, held.size, held.etag) for name, held in objects])
    return sha256(said.encode()).hexdigest()[:16]


def just_before(runout: Runout) -> Runout:
    """Return the name behind which a listing begins with this runout."""
    number = int(runout.cid)
    return Runout(runout.stamp, f"{number - 1:05d}" if number else "")


def listing_start(newest: Sequence[Runout]) -> Runout | None:
    """Say behind which runout the next listing begins; `newest` ends the last one, in order.

    New names come at the end, except where two clocks or two jobs of one minute disagree: so the
    newest three hundred are listed again, and all of the newest three minutes. What comes still
    further before the end is found by the next full listing. None: there are too few to leave any
    out.
    """
    stamps: set[str] = set()
    for index in range(len(newest) - 1, -1, -1):
        stamps.add(newest[index].stamp)
        if len(stamps) > _WINDOW_STAMPS and len(newest) - index > _WINDOW_NAMES:
            return newest[index]
    return newest[0] if len(newest) >= NEWEST_KEPT else None


@dataclass(slots=True)
class _Seen:
    fingerprint: str
    first_at: float
    look_at: float
    looks: int = 0
    reason: str = ""


class Patience:
    """Remembers runouts that are not to be merged yet, and when each is worth another look.

    | a listing shows it     | look                                                     |
    |------------------------|----------------------------------------------------------|
    | for the first time     | yes                                                      |
    | changed                | yes                                                      |
    | unchanged              | when its delay is over, which doubles with every look    |
    """

    def __init__(self, first_delay: float) -> None:
        self._first_delay = first_delay
        self._seen: OrderedDict[Runout, _Seen] = OrderedDict()

    def is_due(self, runout: Runout, print_: str, now: float) -> bool:
        """Note that a listing shows it; say whether it is worth a look."""
        seen = self._seen.get(runout)
        if seen is None or seen.fingerprint != print_:
            self.restore(runout, print_, now)
            return True
        return now >= seen.look_at

    def restore(self, runout: Runout, print_: str, first_at: float) -> None:
        """Remember since when a listing has shown it like this."""
        self._seen[runout] = _Seen(print_, first_at, first_at)
        self._seen.move_to_end(runout)
        if len(self._seen) > _WAITING_MAX:
            # What is forgotten is looked at as if it were new.
            self._seen.popitem(last=False)

    def is_quiet(self, runout: Runout, now: float) -> bool:
        """Say whether listings far enough apart have shown it unchanged."""
        seen = self._seen.get(runout)
        return seen is not None and now - seen.first_at >= QUIET_SECONDS

    def note(self, runout: Runout, reason: str, now: float, *, quiet: bool = False) -> bool:
        """Remember why it waits; say whether that is news."""
        seen = self._seen.get(runout)
        if seen is None:
            return True
        news, seen.reason = seen.reason != reason, reason
        delay = min(_LONGEST_DELAY, self._first_delay * 2.0 ** min(seen.looks, 30))
        seen.looks += 1
        seen.look_at = seen.first_at + QUIET_SECONDS if quiet else now + delay
        return news

    def forget(self, runout: Runout) -> None:
        """Drop what is known of a runout; it is done."""
        self._seen.pop(runout, None)

    def known(self) -> set[Runout]:
        """Return all that is remembered."""
        return set(self._seen)

    def __contains__(self, runout: object) -> bool:
        return runout in self._seen

    def reasons(self) -> dict[Runout, str]:
        """Return those that wait and why."""
        return {runout: seen.reason for runout, seen in self._seen.items() if seen.reason}

    def sightings(self) -> dict[Runout, tuple[str, float]]:
        """Return since when each has been listed as it is."""
        return {run: (seen.fingerprint, seen.first_at) for run, seen in self._seen.items()}
