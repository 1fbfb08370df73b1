"""What every command here begins with: the line, both files, and whose account it is."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.glacier.deploy.function.deployment import Deployment, resolve_deployment
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.lines import where
from pipelines.glacier.lines.loading import Loaded, load_sources
from pipelines.glacier.lines.syntax import Syntax
from shared.errors import CredentialsMissing, UsageError

if TYPE_CHECKING:
    from shared.aws.calls import AwsCalls

# The rest is imported where it is used: what needs no network does not wait for the SDK.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is asked for."""

    loaded: Loaded
    deployment: Deployment
    program: str

    def warn(self, warnings: Sequence[str] = ()) -> None:
        """Print the warnings of both files, and others."""
        sources = self.loaded.sources
        for each in (*sources.config.warnings, *sources.aws.warnings, *warnings):
            sys.stderr.write(f"{self.program}: warning: {each}\n")

    @property
    def as_json(self) -> bool:
        """Whether stdout is to hold a document alone."""
        return self.loaded.sources.line.get(where.OUTPUT) == "json"


def prepare(syntax: Syntax, argv: Sequence[str]) -> Prepared:
    """Read the line and the files; UsageError has a line for each thing that is wrong."""
    loaded = load_sources(syntax, argv, Path.cwd())
    problems = (*loaded.sources.config.problems, *loaded.sources.aws.problems)
    if problems:
        raise UsageError("\n".join(problems))
    return Prepared(loaded, resolve_deployment(loaded.sources), syntax.program)


def in_account(prepared: Prepared, work: "Callable[[AwsCalls, Scope], Awaitable[int]]") -> int:
    """Do something with open clients, in the names of the account that the credentials belong to.

    Raises:
        CredentialsMissing: AWS does not say whose they are.
        UsageError: it is another account than the one that the file or the line names.
    """
    from pipelines.glacier.lines.connection import client_settings
    from shared.aws.calls import AwsCalls
    from shared.aws.clients import open_clients
    from shared.errors import ExitStatus
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    status: list[int] = []

    async def main() -> ExitStatus:
        async with open_clients(client_settings(prepared.loaded.sources)) as clients:
            scope = await scope_of(clients.caller_identity, prepared.deployment)
            status.append(await work(AwsCalls(clients), scope))
        return ExitStatus.DONE

    run(main)
    return status[0]


async def scope_of(
    ask: Callable[[], Awaitable[Mapping[str, str]]], deployment: Deployment
) -> Scope:
    """Return the names in the account that acts; CredentialsMissing, UsageError."""
    from shared.s3.errors import ObjectError

    try:
        who = await ask()
    except ObjectError as error:
        said = " ".join(part for part in (error.answer.code, error.answer.message) if part)
        raise CredentialsMissing(f"AWS does not say who asks: {said}; give credentials") from error
    named, found = deployment.account_id, who["Account"]
    if named and named != found:
        raise UsageError(
            f"the credentials belong to account {found!r}, and {named!r} is named; "
            "use those of the named account, or mend account_id"
        )
    partition = who["Arn"].split(":")[1] if who["Arn"].count(":") > 1 else "aws"
    return deployment.scope(found, partition)
