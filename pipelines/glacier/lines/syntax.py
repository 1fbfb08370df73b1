"""Which flags a command has. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.glacier.lines.flag import Flag


@dataclass(frozen=True, slots=True)
class Syntax:
    """The flags of one command."""

    program: str
    """As it is typed: `towpath glacier submit`."""
    description: str
    groups: Mapping[str, Sequence[Flag[object]]]
    """By the title that the help gives them."""
