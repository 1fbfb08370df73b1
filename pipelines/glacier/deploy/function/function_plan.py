"""What brings the function to what is wanted of it: facts in, steps out. Pure.

| there is                             | then                                                     |
|--------------------------------------|----------------------------------------------------------|
| no function                          | it is made                                               |
| one of package type Zip              | refused; with `--replace` it is removed and made anew    |
| one with other code                  | its code is changed, and it is waited for                |
| one with other settings              | its settings are changed, and it is waited for           |
| what is wanted, but `live` is not it | a version is published, `live` moves, the test runs      |
| what is wanted, and `live` is it     | nothing                                                  |

Code and settings are changed one after the other: Lambda refuses the second while it works on the
first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from shared.errors import UsageError

ALIAS = "live"
"""What jobs are sent to; it moves once the new version has answered, and back if it has not."""

FunctionStep: TypeAlias = Literal["create", "remove", "code", "settings", "publish"]


class NeedsReplacing(UsageError):
    """The function can only be made anew, and nobody has said that it may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about a function but its code."""

    role_arn: str
    memory_mb: int
    timeout_seconds: int
    storage_mb: int
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionState:
    """A version of a function as Lambda describes it."""

    package_type: str
    image_uri: str
    """With the digest that it is pinned to; empty for a Zip."""
    settings: Settings
    architecture: str = "x86_64"
    code_sha256: str = ""

    @property
    def image_digest(self) -> str:
        """The digest alone."""
        return self.image_uri.rpartition("@")[2] if "@" in self.image_uri else ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the function shall be."""

    function: str
    repository_uri: str
    image_digest: str
    """Empty: the image is yet to be built."""
    settings: Settings
    architecture: str

    @property
    def image_uri(self) -> str:
        """The image, pinned."""
        return f"{self.repository_uri}@{self.image_digest}"


def plan_function(
    latest: FunctionState | None, live: FunctionState | None, wanted: Wanted, *, replace: bool
) -> tuple[FunctionStep, ...]:
    """Return the steps, in order.

    Args:
        latest: what the function is now; None where there is none.
        live: the version that `live` leads to; None where it leads nowhere.
        wanted: what it shall be.
        replace: whether it may be removed.

    Raises:
        NeedsReplacing: it would have to be.
    """
    if latest is None:
        return ("create", "publish")
    if fault := _lasting_difference(latest, wanted):
        if not replace:
            raise NeedsReplacing(
                f"function {wanted.function!r} {fault}, which cannot be changed; "
                "give --replace to remove it and make it anew"
            )
        return ("remove", "create", "publish")
    steps: list[FunctionStep] = []
    if not wanted.image_digest or latest.image_digest != wanted.image_digest:
        steps.append("code")
    if merged(latest.settings, wanted.settings) != latest.settings:
        steps.append("settings")
    if steps or live is None or not _same(latest, live):
        steps.append("publish")
    return tuple(steps)


def merged(found: Settings, wanted: Settings) -> Settings:
    """Return what is wanted, with the variables that somebody has set as they are.

    The project mode is one of them: where code comes from the bucket, a deployment leaves it so.
    """
    environment = {**wanted.environment, **found.environment}
    return Settings(
        wanted.role_arn,
        wanted.memory_mb,
        wanted.timeout_seconds,
        wanted.storage_mb,
        environment,
    )


def describe_step(step: FunctionStep, latest: FunctionState | None, wanted: Wanted) -> str:
    """Say what a step does."""
    sizes = (
        f"{wanted.settings.memory_mb} MB, {wanted.settings.timeout_seconds} s, "
        f"{wanted.settings.storage_mb} MB of storage"
    )
    texts: Mapping[FunctionStep, str] = {
        "create": f"make function {wanted.function}: {sizes}",
        "remove": f"remove function {wanted.function}, which is no image",
        "code": f"give function {wanted.function} the image",
        "settings": f"set {wanted.function}: {_changes(latest, wanted)}",
        "publish": f"publish a version, move alias {ALIAS}, test it, move back if it fails",
    }
    return texts[step]


def _changes(latest: FunctionState | None, wanted: Wanted) -> str:
    if latest is None:
        return "everything"
    now, then = latest.settings, merged(latest.settings, wanted.settings)
    pairs = (
        ("memory", now.memory_mb, then.memory_mb),
        ("timeout", now.timeout_seconds, then.timeout_seconds),
        ("storage", now.storage_mb, then.storage_mb),
        ("role", now.role_arn, then.role_arn),
    )
    said = [f"{name} {old} to {new}" for name, old, new in pairs if old != new]
    if now.environment != then.environment:
        changed = {
            name for name, value in then.environment.items() if now.environment.get(name) != value
        }
        said.append(f"variables {', '.join(sorted(changed))}")
    return "; ".join(said)


def _lasting_difference(latest: FunctionState, wanted: Wanted) -> str:
    if latest.package_type != "Image":
        return f"is of package type {latest.package_type!r}"
    if latest.architecture != wanted.architecture:
        return f"is for {latest.architecture!r}, not {wanted.architecture!r}"
    return ""


def _same(latest: FunctionState, live: FunctionState) -> bool:
    return (latest.image_digest, latest.settings) == (live.image_digest, live.settings)
