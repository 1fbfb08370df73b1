"""The command `towpath glacier iam`: prints the documents of all permissions, generated.

Nothing is asked of AWS: the account is a flag, a key of the file, or a stand-in that the policy
editor of AWS refuses.
"""

import json
import sys
from collections.abc import Sequence

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.permissions.policies import policy_documents
from pipelines.glacier.deploy.preparing import prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.syntax import Syntax
from shared.errors import ExitStatus

SUMMARY = "print the generated permissions of operator, function and containers"

_SYNTAX = Syntax(
    "towpath glacier iam",
    """
    Print what each party may do, as IAM takes it: what its requests need, and nothing besides.

    operator is for the person who deploys and submits; execution and execution-trust for the
    function's role; task, task-execution and task-trust for containers; endpoint is what the
    policy of a VPC's endpoint for S3 must let through.
    """,
    {
        "which": (flags.ONLY,),
        "names": (
            flags.ACCOUNT,
            flags.FUNCTION,
            where.AWS_REGION,
            where.S3_BUCKET,
        ),
        "project": flags.PROJECT_GROUP,
    },
)
_STAND_IN = "ACCOUNT_ID"


def main(argv: Sequence[str]) -> int:
    """Print one document, or all of them by name."""
    prepared = prepare(_SYNTAX, argv)
    prepared.warn(
        ()
        if prepared.deployment.account_id
        else (f"no account is named; {_STAND_IN} stands in its place, see --account-id",)
    )
    scope = prepared.deployment.scope(prepared.deployment.account_id or _STAND_IN)
    documents = policy_documents(scope)
    only = prepared.loaded.sources.line.get(flags.ONLY)
    chosen = documents if only is None else documents[only]
    sys.stdout.write(json.dumps(chosen, indent=2) + "\n")
    return ExitStatus.DONE
