"""How Batch chooses among spare capacity, by the names that configurations have for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

BATCH_STRATEGIES = ("SPOT_PRICE_CAPACITY_OPTIMIZED", "SPOT_CAPACITY_OPTIMIZED")
"""Of an environment of spot instances; the others Batch has ignore how soon one is taken away."""
_OF_SPOT_FLEETS: Mapping[str, str] = {
    "diversified": "SPOT_PRICE_CAPACITY_OPTIMIZED",
    "lowestPrice": "SPOT_PRICE_CAPACITY_OPTIMIZED",
    "capacityOptimized": "SPOT_CAPACITY_OPTIMIZED",
    "priceCapacityOptimized": "SPOT_PRICE_CAPACITY_OPTIMIZED",
}
STRATEGIES = (*BATCH_STRATEGIES, *_OF_SPOT_FLEETS)
"""All that may be written."""


class UnknownStrategy(ValueError):
    """Nobody has a strategy of this name."""


@dataclass(frozen=True, slots=True)
class SpotStrategy:
    """A strategy of Batch."""

    name: str
    warning: str = ""
    """Where another one was written than Batch has."""


def batch_strategy(written: str) -> SpotStrategy:
    """Return what Batch calls a strategy; UnknownStrategy."""
    if written in BATCH_STRATEGIES:
        return SpotStrategy(written)
    found = _OF_SPOT_FLEETS.get(written)
    if found is None:
        allowed = ", ".join(STRATEGIES)
        raise UnknownStrategy(
            f"spot_allocation_strategy {written!r} is not known; allowed: {allowed}"
        )
    return SpotStrategy(
        found, f"spot_allocation_strategy {written!r} is none of Batch's; {found} is taken instead"
    )
