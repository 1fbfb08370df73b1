"""Price books: what an hour, a gigabyte and a transition cost. Pure.

`reference` has the figures that runs were always compared by. `eu-north-1` is nearer to a bill:
prices on demand of about 2025, converted, which were not compared with AWS's own pages. Spot is
taken at half of them, since the pool bids no more than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices under one name; DKK, unless a name says USD."""

    name: str
    spot_vcpu_hour: float
    on_demand_vcpu_hour: float
    storage_gb_month: float
    usd_to_dkk: float = 7.0
    lambda_usd_gb_second: float = 0.000_016_666_7
    transition_usd: float = 0.000_025
    """Of Step Functions."""
    overhead: float = 1.2
    """What the compute is multiplied by in the figure that is compared with the budget."""
    megabytes_per_picture: float = 2.0
    """Stored."""

    def vcpu_hour(self, *, spot: bool) -> float:
        """Return DKK for a vCPU and hour."""
        return self.spot_vcpu_hour if spot else self.on_demand_vcpu_hour


def _listed(name: str, vcpu_hour_usd: float, storage_usd: float) -> PriceBook:
    rate = 7.0
    return PriceBook(
        name,
        spot_vcpu_hour=vcpu_hour_usd / 2 * rate,
        on_demand_vcpu_hour=vcpu_hour_usd * rate,
        storage_gb_month=storage_usd * rate,
        usd_to_dkk=rate,
    )


BOOKS: Mapping[str, PriceBook] = MappingProxyType(
    {
        REFERENCE: PriceBook(
            REFERENCE, spot_vcpu_hour=0.15, on_demand_vcpu_hour=0.45, storage_gb_month=0.02
        ),
        # c5.large at 0.091 USD an hour has two vCPU; S3 Standard, first 50 TB.
        "eu-north-1": _listed("eu-north-1", 0.0455, 0.023),
    }
)
