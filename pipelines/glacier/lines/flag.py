"""A value that a command line may have. Pure."""

from dataclasses import dataclass
from typing import Generic

from pipelines.glacier.values import Kind, T_co


@dataclass(frozen=True, slots=True, eq=False)
class Flag(Generic[T_co]):
    """A value that the line may have."""

    name: str
    kind: Kind[T_co]
    help: str
    metavar: str = ""
    old_spelling: str = ""
    """Means the same."""
    bare: str = ""
    """What the flag means where no value follows; empty: one must."""
    switch: bool = False
    """It never takes a value; being there means true."""
