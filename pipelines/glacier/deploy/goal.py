"""What a deployment leads to, and the steps there."""

from pipelines.glacier.deploy.docker.imaging import Building
from pipelines.glacier.deploy.function.deploy_plan import Observed, Step, plan_deployment
from pipelines.glacier.deploy.function.deploying import Goal
from pipelines.glacier.deploy.function.function_plan import Settings, Wanted
from pipelines.glacier.deploy.permissions.scope import Scope
from pipelines.glacier.deploy.preparing import Prepared
from pipelines.glacier.deploy.probes.probes import bad_event, dry_run
from pipelines.glacier.region_file import load_regions

_DOMAINS = {"aws-cn": "amazonaws.com.cn"}


def goal_of(
    prepared: Prepared, building: Building, scope: Scope, observed: Observed, tag: str
) -> Goal:
    """Return the goal; the image's digest is known where it has been pushed before."""
    deployment, found = prepared.deployment, observed.repository
    region = load_regions(building.ingredients.region_file)[0].name
    storage = deployment.storage
    settings = Settings(
        role_arn=scope.role_arn(scope.execution_role),
        memory_mb=deployment.memory_mb,
        timeout_seconds=deployment.timeout_seconds,
        storage_mb=deployment.storage_mb,
        environment={"GLACIER_PROJECT_MODE": "image"},
    )
    wanted = Wanted(
        function=deployment.function,
        repository_uri=found.uri if found else repository_uri(scope),
        image_digest=found.image_digest if found else "",
        settings=settings,
        architecture=deployment.architecture,
    )
    return Goal(
        scope=scope,
        wanted=wanted,
        tag=tag,
        log_days=deployment.log_days,
        building=building,
        probes=(dry_run(region, storage.s3_bucket, storage.s3_base_path), bad_event()),
    )


def steps_to(goal: Goal, observed: Observed, *, replace: bool) -> tuple[Step, ...]:
    """Return what is to be done."""
    return plan_deployment(
        observed,
        goal.wanted,
        tag=goal.tag,
        role=goal.scope.execution_role,
        log_days=goal.log_days,
        replace=replace,
    )


def repository_uri(scope: Scope) -> str:
    """Return the address that a repository will have."""
    domain = _DOMAINS.get(scope.partition, "amazonaws.com")
    return f"{scope.account_id}.dkr.ecr.{scope.aws_region}.{domain}/{scope.repository}"
