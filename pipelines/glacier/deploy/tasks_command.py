"""The command `towpath glacier tasks`: task definitions for ECS, on instances and on Fargate.

Exit statuses: 0 planned or done · 1 a step failed · 2 bad input, no credentials, no image.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.preparing import Prepared, in_account, prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.project import aws_keys
from shared.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from pipelines.glacier.deploy.permissions.scope import Scope
    from pipelines.glacier.deploy.tasks.registering import TaskPlan
    from shared.aws.calls import AwsCalls

# The rest is imported where it is used: --help does not wait for the SDK.
# ruff: noqa: PLC0415

SUMMARY = "register the task definitions of ECS and Fargate (--plan, --apply)"

_SYNTAX = Syntax(
    "towpath glacier tasks",
    """
    Render the two task definitions that submissions to ecs and fargate ask for, with their roles
    and log group, and register those that differ from what is registered. Their image is --image,
    else [FARGATE] fargate_image, else the one that the alias live of the function has.
    """,
    {
        "what": (flags.PLAN, flags.APPLY, flags.IMAGE, where.OUTPUT),
        "where": (*flags.PLACE_GROUP, flags.ACCOUNT),
        "project": flags.PROJECT_GROUP,
    },
)


def main(argv: Sequence[str]) -> int:
    """Plan, and register if that is asked for."""
    prepared = prepare(_SYNTAX, argv)
    line = prepared.loaded.sources.line
    apply = bool(line.get(flags.APPLY))
    if apply and line.get(flags.PLAN):
        raise UsageError("--plan and --apply exclude each other; give one of them")
    if not prepared.as_json:
        prepared.warn()

    async def work(calls: "AwsCalls", scope: "Scope") -> int:
        return await _register(prepared, calls, scope, apply=apply)

    return in_account(prepared, work)


async def _register(prepared: Prepared, calls: "AwsCalls", scope: "Scope", *, apply: bool) -> int:
    from pipelines.glacier.deploy.tasks.registering import plan_tasks, register_tasks
    from pipelines.glacier.deploy.tasks.task_request import task_settings

    deployment, sources = prepared.deployment, prepared.loaded.sources
    image = await _image(prepared, calls)
    wanted = task_settings(sources, scope, image, deployment.architecture)
    plan = await plan_tasks(calls, scope, wanted)
    arns = await register_tasks(calls, scope, plan, deployment.log_days) if apply else []
    _report(prepared, plan, arns, applied=apply)
    return ExitStatus.DONE


async def _image(prepared: Prepared, calls: "AwsCalls") -> str:
    from pipelines.glacier.deploy.function.function_facts import load_live

    sources = prepared.loaded.sources
    if named := sources.line.get(flags.IMAGE) or sources.aws.values.get(aws_keys.FARGATE_IMAGE):
        return named
    live = (await load_live(calls, prepared.deployment.function))[1]
    if live is None or not live.image_uri:
        raise UsageError(
            f"function {prepared.deployment.function!r} has no version that is live; "
            "deploy it first, or give --image"
        )
    return live.image_uri


def _report(prepared: Prepared, plan: "TaskPlan", arns: Sequence[str], *, applied: bool) -> None:
    deployment = prepared.deployment
    texts = plan.texts(deployment.log_group, deployment.log_days)
    if prepared.as_json:
        document = {
            "applied": applied,
            "steps": texts,
            "definitions": list(plan.definitions),
            "registered": list(arns),
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    for text in texts:
        sys.stdout.write(f"  {text}\n")
    for arn in arns:
        sys.stdout.write(f"registered {arn}\n")
    done = "done" if applied else "would be done; --apply does it"
    sys.stdout.write(f"{len(texts)} steps {done}\n" if texts else "nothing to do\n")
