"""The command `towpath glacier cleanup`: removes what `deploy` made; the bucket stays.

Exit statuses: 0 planned or done · 1 something could not be removed · 2 bad input, no credentials.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.cleanup.cleanup_plan import describe
from pipelines.glacier.deploy.preparing import Prepared, in_account, prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.regions import is_region_name
from shared.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from pipelines.glacier.deploy.permissions.scope import Scope
    from shared.aws.calls import AwsCalls

# The rest is imported where it is used: --help does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "remove function, images and repository; results only by region's name"

_SYNTAX = Syntax(
    "towpath glacier cleanup",
    """
    Say what would be removed: the function with its versions, the repository with its images, and
    those images on this machine; --yes does it. `towpath glacier deploy --apply` makes all of it
    again. The bucket is never removed; results are, of regions that --results names.
    """,
    {
        "what": (flags.RESULTS, flags.YES, where.OUTPUT),
        "where": (*flags.PLACE_GROUP, flags.ACCOUNT),
        "project": flags.PROJECT_GROUP,
    },
)


def main(argv: Sequence[str]) -> int:
    """Print the plan, and carry it out if that is said."""
    prepared = prepare(_SYNTAX, argv)
    line = prepared.loaded.sources.line
    regions = tuple(line.get(flags.RESULTS) or ())
    if wrong := [name for name in regions if not is_region_name(name)]:
        raise UsageError(f"--results {wrong[0]!r} is no region's name; write it as 134_Arsuk")
    if not prepared.as_json:
        prepared.warn()

    async def work(calls: "AwsCalls", scope: "Scope") -> int:
        return await _clean(prepared, calls, scope, regions)

    return in_account(prepared, work)


async def _clean(
    prepared: Prepared, calls: "AwsCalls", scope: "Scope", regions: Sequence[str]
) -> int:
    from pipelines.glacier.deploy.cleanup.cleaning import clean, look
    from pipelines.glacier.transfer.opening import open_store

    apply = bool(prepared.loaded.sources.line.get(flags.YES))
    async with open_store(prepared.loaded.sources) as store:
        found = await look(calls, store, scope, regions)
        steps = describe(found.present, scope.function, scope.repository, scope.bucket)
        if apply:
            await clean(calls, store, scope, found)
    _report(prepared, steps, applied=apply)
    return ExitStatus.DONE


def _report(prepared: Prepared, steps: Sequence[str], *, applied: bool) -> None:
    if prepared.as_json:
        document = {"applied": applied, "steps": list(steps)}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    for step in steps:
        sys.stdout.write(f"  {step}\n")
    done = "done" if applied else "would be done; --yes does it"
    sys.stdout.write(f"{len(steps)} steps {done}\n" if steps else "nothing to remove\n")
