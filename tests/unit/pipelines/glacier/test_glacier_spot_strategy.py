"""Spare capacity: what older files call a strategy is one of Batch's, or is refused."""

import pytest

from pipelines.glacier.targets.spot_strategy import (
    BATCH_STRATEGIES,
    UnknownStrategy,
    batch_strategy,
)


def test_a_strategy_of_spot_fleets_is_taken_for_the_nearest_of_batch() -> None:
    """`diversified` stands in every configuration there is, and Batch would refuse it."""
    found = batch_strategy("diversified")

    assert found.name == "SPOT_PRICE_CAPACITY_OPTIMIZED"
    assert "'diversified' is none of Batch's; SPOT_PRICE_CAPACITY_OPTIMIZED" in found.warning


@pytest.mark.parametrize("name", BATCH_STRATEGIES)
def test_a_strategy_of_batch_is_taken_as_it_is(name: str) -> None:
    """And nobody is warned of it."""
    assert batch_strategy(name).name == name
    assert batch_strategy(name).warning == ""


@pytest.mark.parametrize("name", ["", "cheapest", "DIVERSIFIED"])
def test_an_unknown_strategy_is_refused(name: str) -> None:
    """A slip must not decide how often jobs are interrupted."""
    with pytest.raises(UnknownStrategy, match=r"is not known; allowed: SPOT_PRICE"):
        batch_strategy(name)
