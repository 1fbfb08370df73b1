"""What a run has cost so far, by how long its states have been at work. Pure; DKK.

    functions  = usd_to_dkk x usd_per_gb_second x seconds x memory, each
    detection  = seconds / 3600 x 2 x vcpu_hour x overhead
    states     = usd_to_dkk x usd_per_transition x (entered + 1)

Of a local run it is what AWS would have charged. It can be less than what is estimated, which is
for the pictures, and more, where things are slow; storage is for a month and comes at the end.
"""

from collections.abc import Mapping

from pipelines.wildlife.costs.estimate import VCPUS
from pipelines.wildlife.costs.prices import PriceBook

DETECTION = "SubmitBatchStage1"
_LARGE_GIGABYTES, _USUAL_GIGABYTES = 1769 / 1024, 0.5
"""Memory of functions: of those that compute, which get a whole processor by it, and of others."""
_LARGE = frozenset({"Stage0Exif", "Stage2Post", "WriteParquet"})
_HOUR = 3600


def running_cost(
    seconds: Mapping[str, float], *, entered: int, prices: PriceBook, spot: bool
) -> float:
    """Return what states have cost that were at work for so long; `entered` is their number."""
    detection = seconds.get(DETECTION, 0.0) / _HOUR * VCPUS * prices.vcpu_hour(spot=spot)
    used = sum(
        taken * (_LARGE_GIGABYTES if state in _LARGE else _USUAL_GIGABYTES)
        for state, taken in seconds.items()
        if state != DETECTION
    )
    functions = prices.usd_to_dkk * prices.lambda_usd_gb_second * used
    transitions = prices.usd_to_dkk * prices.transition_usd * (entered + 1)
    return detection * prices.overhead + functions + transitions
