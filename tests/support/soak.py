"""How often a property is tried: a little in `make test`, a lot in `make soak`."""

import os

# Read at import: the environment of every single test is stripped of TOWPATH_* afterwards.
SOAKING = os.environ.get("TOWPATH_SOAK") == "1"


def repetitions(quick: int, soak: int) -> int:
    """Return the number of repetitions for this run."""
    return soak if SOAKING else quick
