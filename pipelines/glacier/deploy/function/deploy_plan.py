"""Everything a deployment does, in order, and why: facts in, steps out. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.glacier.deploy.function.function_plan import (
    FunctionState,
    FunctionStep,
    Wanted,
    describe_step,
    plan_function,
)

Kind: TypeAlias = Literal["repository", "repository-settings", "image", "role", "logs"]


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The repository as the registry describes it."""

    uri: str
    scans: bool
    """Images are scanned when they are pushed."""
    immutable: bool
    """A tag never moves to another image."""
    image_digest: str = ""
    """Of the image with the wanted tag; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is."""

    account_id: str
    repository: RepositoryState | None
    role_differs: bool
    log_days: int | None
    """How long the function's log is kept; None: there is no log group yet, 0: for ever."""
    latest: FunctionState | None
    live_version: str
    """Empty: the alias is not there."""
    live: FunctionState | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done."""

    kind: Kind | FunctionStep
    text: str


def plan_deployment(
    observed: Observed,
    wanted: Wanted,
    *,
    tag: str,
    role: str,
    log_days: int,
    replace: bool,
) -> tuple[Step, ...]:
    """Return all steps; none: everything is as it shall be. Raises NeedsReplacing."""
    before = _before_function(observed, wanted, tag=tag, role=role, log_days=log_days)
    kinds = plan_function(observed.latest, observed.live, wanted, replace=replace)
    function = (Step(kind, describe_step(kind, observed.latest, wanted)) for kind in kinds)
    return (*before, *function)


def _before_function(
    observed: Observed, wanted: Wanted, *, tag: str, role: str, log_days: int
) -> Iterator[Step]:
    found = observed.repository
    name = wanted.repository_uri
    if found is None:
        yield Step("repository", f"make repository {name}: scan on push, tags never move")
    elif not (found.scans and found.immutable):
        yield Step("repository-settings", f"set repository {name}: scan on push, tags never move")
    if found is None or not found.image_digest:
        yield Step("image", f"build and push {name}:{tag}")
    if observed.role_differs:
        yield Step("role", f"give role {role} the generated policy, make it where it is not there")
    if not observed.log_days:
        yield Step("logs", f"keep the log /aws/lambda/{wanted.function} for {log_days} days")
