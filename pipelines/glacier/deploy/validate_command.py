"""The command `towpath glacier validate`: what is deployed against what must be.

Exit statuses: 0 nothing failed · 1 something did · 2 the function could not be read, or bad input.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.checks.validation import Finding, exit_status, summarize
from pipelines.glacier.deploy.preparing import Prepared, in_account, prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import aws_keys

if TYPE_CHECKING:
    from pipelines.glacier.deploy.checks.validating import Validated

# The rest is imported where it is used: --help does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "check function, role and network against what runs need"

_SYNTAX = Syntax(
    "towpath glacier validate",
    """
    Check what is deployed: package, image, memory, timeout, storage, alias; whether the role may do
    what runs do, simulated; whether an endpoint of the containers' VPC lets images through.
    """,
    {
        "what": flags.PLACE_GROUP,
        "how": (where.OUTPUT, flags.ACCOUNT),
        "project": flags.PROJECT_GROUP,
    },
)


def main(argv: Sequence[str]) -> int:
    """Check, and print every finding."""
    prepared = prepare(_SYNTAX, argv)
    if not prepared.as_json:
        prepared.warn()
    validated = _validate(prepared)
    status = exit_status(validated.findings, checked=validated.checked)
    if prepared.as_json:
        document = {
            "function": prepared.deployment.function,
            "aws_region": prepared.deployment.storage.aws_region,
            "checked": validated.checked,
            "exit_status": status,
            "findings": [finding.to_json() for finding in validated.findings],
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(validated.findings)))
    return status


def _validate(prepared: Prepared) -> "Validated":
    from pipelines.glacier.deploy.checks.validating import validate
    from pipelines.glacier.deploy.permissions.scope import Scope
    from shared.aws.calls import AwsCalls

    key = prepared.loaded.sources.aws_key
    subnets = key((), aws_keys.FARGATE_SUBNETS, aws_keys.ECS_SUBNETS)
    found: list[Validated] = []

    async def work(calls: AwsCalls, scope: Scope) -> int:
        found.append(await validate(calls, scope, prepared.deployment, subnets))
        return 0

    in_account(prepared, work)
    return found[0]


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.level:<8}{finding.check}: {finding.current}"
        if finding.level != "ok":
            yield f"        required: {finding.required}"
            yield f"        reason:   {finding.reason}"
            yield f"        fix:      {finding.fix}"
    yield summarize(findings)
