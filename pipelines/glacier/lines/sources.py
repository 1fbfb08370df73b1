"""The line and both files of a command, and which of them a value is taken from. Pure."""

from dataclasses import dataclass, field
from typing import TypeVar

from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.project.ini_text import IniText, Key
from pipelines.glacier.values import Values

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sources:
    """What was given, and where."""

    line: Values
    config: IniText
    """`config.ini`"""
    aws: IniText
    """`aws_config.ini`"""

    def from_config(self, flag: Flag[T], key: Key[T], default: T) -> T:
        """Return a value of the line, else of `config.ini`, else the default."""
        given = self.line.get(flag)
        found = self.config.values.get(key) if given is None else given
        return default if found is None else found

    def from_aws(self, flag: Flag[T], key: Key[T], default: T) -> T:
        """Return a value of the line, else of `aws_config.ini`, else the default."""
        given = self.line.get(flag)
        return self.aws_key(default, key) if given is None else given

    def aws_key(self, default: T, *keys: Key[T]) -> T:
        """Return the first of some keys that `aws_config.ini` has, else the default."""
        found = (self.aws.values.get(key) for key in keys)
        return next((value for value in found if value is not None), default)


@dataclass(slots=True)
class Findings:
    """What is wrong with a command, and what is only odd."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
