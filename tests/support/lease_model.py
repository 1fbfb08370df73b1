"""What leases may do, as one step after another: every history of a bucket is held against this.

The rules are written down a second time here, and not taken from the product.

| what is there       | what may follow, with the next beat                                   |
|---------------------|-----------------------------------------------------------------------|
| nothing             | claimed: generation 1, beat 1, no attempts                            |
| claimed by P, g     | claimed, released, committed or parked by P, g; claimed by Q, g + 1   |
| released by P, g    | claimed by anybody, g + 1                                             |
| parked by P, g      | released by anybody, g, no attempts                                   |
| committed           | nothing                                                               |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.handshake.layout import Runout
from shared.handshake.lease import Lease, LeaseState


@dataclass(slots=True)
class LeaseModel:
    """Follows the leases of one bucket, write by write."""

    is_complete: Callable[[Runout], bool]
    """Whether everything of a result is in the bucket at this moment."""
    leases: dict[str, Lease] = field(default_factory=dict)
    committed: dict[str, Runout] = field(default_factory=dict)
    history: dict[str, list[Lease]] = field(default_factory=dict)

    def write(self, after: Lease) -> None:
        """Take the next write; AssertionError when it may not follow."""
        before = self.leases.get(after.cid)
        past = self.history.setdefault(after.cid, [])
        past.append(after)
        assert follows(before, after), f"this may not follow: {_told(past)}"
        self.leases[after.cid] = after
        if after.runout is not None:
            assert self.is_complete(after.runout), f"committed, and not whole: {_told(past)}"
            self.committed[after.cid] = after.runout

    def remove(self, cid: str) -> None:
        """Take the removal of a lease."""
        raise AssertionError(f"the lease of CID {cid} was removed")


def follows(before: Lease | None, after: Lease) -> bool:
    """Tell whether one lease may follow another."""
    if before is None:
        first = (after.generation, after.beat, after.attempts) == (1, 1, 0)
        return first and after.state is LeaseState.CLAIMED
    if after.beat != before.beat + 1:
        return False
    if after.generation == before.generation + 1:
        claimable = before.state in {LeaseState.CLAIMED, LeaseState.RELEASED}
        same_attempts = after.attempts == before.attempts
        return claimable and same_attempts and after.state is LeaseState.CLAIMED
    if after.generation != before.generation:
        return False
    if before.state is LeaseState.PARKED:
        return after.state is LeaseState.RELEASED and after.attempts == 0
    by_its_owner = after.owner.process == before.owner.process
    more = after.attempts - before.attempts
    allowed = {
        LeaseState.CLAIMED: more == 0,
        LeaseState.RELEASED: more in {0, 1},
        LeaseState.COMMITTED: more == 0,
        LeaseState.PARKED: more == 1,
    }
    return before.state is LeaseState.CLAIMED and by_its_owner and allowed[after.state]


def _told(past: Sequence[Lease]) -> str:
    shown = (
        f"{lease.state} by {lease.owner.process} g{lease.generation} b{lease.beat}"
        for lease in past[-6:]
    )
    return " -> ".join(shown)
