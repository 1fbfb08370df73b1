"""The command `towpath glacier deploy`: image and function, planned or done.

Exit statuses: 0 planned or done · 1 a step or the smoke test failed · 2 bad input, no credentials.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.preparing import Prepared, in_account, prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.syntax import Syntax
from shared.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from pipelines.glacier.deploy.docker.imaging import Building
    from pipelines.glacier.deploy.function.deploy_plan import Step

# The rest is imported where it is used: --help does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "build the image, and bring the Lambda function to it (--plan, --apply)"

_SYNTAX = Syntax(
    "towpath glacier deploy",
    """
    Bring repository, image, role, log group and function to what the configuration says. --plan
    says what would be done; --apply does it, waits for each step, publishes a version, moves the
    alias live to it, tests it, and moves the alias back if it does not answer as it must.

    The image's tag is the digest of everything in it: what is there already is not built again.
    """,
    {
        "what": (flags.PLAN, flags.APPLY, flags.REPLACE, where.OUTPUT),
        "image": (
            flags.BASE_IMAGE,
            flags.NO_CACHE,
            flags.BIND_PROJECT,
            flags.REGION_FILE,
            flags.SOURCE,
        ),
        "where": (*flags.PLACE_GROUP, flags.ACCOUNT),
        "project": flags.PROJECT_GROUP,
    },
)


def main(argv: Sequence[str]) -> int:
    """Plan, and do it if that is asked for."""
    prepared = prepare(_SYNTAX, argv)
    line = prepared.loaded.sources.line
    apply = bool(line.get(flags.APPLY))
    if apply and line.get(flags.PLAN):
        raise UsageError("--plan and --apply exclude each other; give one of them")
    from pipelines.glacier.deploy.image_request import image_request

    building = image_request(prepared)
    if not prepared.as_json:
        from pipelines.glacier.deploy.checks.validation import check_configuration

        small = check_configuration(prepared.deployment)
        prepared.warn(
            [f"{each.check} is {each.current}, usual is {each.required}" for each in small]
        )
    return _deploy(prepared, building, apply=apply)


def _deploy(prepared: Prepared, building: "Building", *, apply: bool) -> int:
    from pipelines.glacier.deploy.function.deploying import Deploying
    from pipelines.glacier.deploy.function.observing import observe
    from pipelines.glacier.deploy.goal import goal_of, steps_to
    from pipelines.glacier.deploy.permissions.scope import Scope
    from shared.aws.calls import AwsCalls

    line, tag = prepared.loaded.sources.line, _tag(building)

    async def work(calls: AwsCalls, scope: Scope) -> int:
        observed = await observe(calls, scope, tag)
        goal = goal_of(prepared, building, scope, observed, tag)
        steps = steps_to(goal, observed, replace=bool(line.get(flags.REPLACE)))
        if apply:
            await Deploying(calls, observed, goal, _tell).carry_out(steps)
        _report(prepared, f"{goal.wanted.repository_uri}:{tag}", steps, applied=apply)
        return ExitStatus.DONE

    return in_account(prepared, work)


def _tag(building: "Building") -> str:
    """Return the tag; one that is built from the ground cannot take that of another build."""
    if not building.no_cache:
        return building.content.tag
    return f"{building.content.tag}-{datetime.now(UTC):%Y%m%d%H%M%S}"


def _report(prepared: Prepared, image: str, steps: "Sequence[Step]", *, applied: bool) -> None:
    if prepared.as_json:
        document = {
            "function": prepared.deployment.function,
            "aws_region": prepared.deployment.storage.aws_region,
            "image": image,
            "applied": applied,
            "steps": [{"kind": step.kind, "text": step.text} for step in steps],
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    done = "done" if applied else "would be done; --apply does it"
    lines = [f"image {image}"]
    if not applied:
        lines += [f"  {step.text}" for step in steps]
    lines.append(f"{len(steps)} steps {done}" if steps else "nothing to do")
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
