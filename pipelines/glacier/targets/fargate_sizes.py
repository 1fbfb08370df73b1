"""Which memory Fargate has for which number of CPU units. Pure."""

from collections.abc import Sequence
from typing import Final

_GB: Final = 1024

MEMORY_OF_CPU: dict[int, Sequence[int]] = {
    256: (512, _GB, 2 * _GB),
    512: range(_GB, 4 * _GB + 1, _GB),
    1024: range(2 * _GB, 8 * _GB + 1, _GB),
    2048: range(4 * _GB, 16 * _GB + 1, _GB),
    4096: range(8 * _GB, 30 * _GB + 1, _GB),
    8192: range(16 * _GB, 60 * _GB + 1, 4 * _GB),
    16384: range(32 * _GB, 120 * _GB + 1, 8 * _GB),
}
"""MB of memory by CPU units; 1024 units are one processor."""


def check_size(cpu: int, memory_mb: int) -> str:
    """Return what is wrong with a pair, with what is allowed; empty where nothing is."""
    sizes = MEMORY_OF_CPU.get(cpu)
    if sizes is None:
        return f"{cpu} CPU units; allowed: {', '.join(map(str, MEMORY_OF_CPU))}"
    if memory_mb in sizes:
        return ""
    step = sizes[1] - sizes[0]
    allowed = (
        ", ".join(map(str, sizes))
        if isinstance(sizes, tuple)
        else f"{sizes[0]} to {sizes[-1]} in steps of {step}"
    )
    return f"{memory_mb} MB with {cpu} CPU units; allowed: {allowed}"
